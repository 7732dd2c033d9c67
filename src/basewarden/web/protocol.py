"""uvicorn's HTTP/1.1 protocol with budgets: the size of a head is limited before it is parsed, and stalled clients end.

The phases of a connection describe what is expected from the client: a head, then a body, then nothing. After a refusal
further input is discarded for a moment, because closing at once would lose the response. Requests that arrive whole
need no timers; the guard's regular check finds those that have stalled.
"""

from asyncio import BaseTransport, TimerHandle
from enum import Enum, auto
from functools import partial
from typing import Any, cast

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from basewarden.errors import AppError
from basewarden.web.budgets import RequestBudgets
from basewarden.web.draining import attach_draining
from basewarden.web.guard import ConnectionGuard, find_network, is_in
from basewarden.web.joined import JoinedWrites, attach_head
from basewarden.web.loop_shares import UNMEASURED_SECONDS, attach_loop_shares, mark_pipelined
from basewarden.web.refusals import BadHTTP, HeadTooLarge, RequestTimeout, TooManyConnections, make_refusal
from basewarden.web.whole_responses import attach_whole, join_lines

_FRAMING = 2  # factor by which chunked encoding may enlarge a body
_LINGER_SECONDS = 2.0
_PAUSE_SECONDS = 0.01
_LINGER_BYTES = 4 * 1024 * 1024
_HEAD_PIECE = 4096  # bytes of heads that are parsed before the budgets are checked
_MOST_PIPELINED = 24  # requests that a client sends ahead; each is held in memory until its turn
_CLOSE = (b"connection", b"close")
_log = structlog.get_logger()


class Phase(Enum):
    HEAD = auto()
    BODY = auto()
    NONE = auto()
    REFUSED = auto()


_HEAD, _BODY, _NONE, _REFUSED = Phase.HEAD, Phase.BODY, Phase.NONE, Phase.REFUSED


class GuardedProtocol(HttpToolsProtocol):
    def __init__(self, *arguments: Any, guard: ConnectionGuard, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._guard = guard
        self._budgets = guard.budgets
        self._peer: str | None = None
        self._refusal: AppError | None = None
        self._phase = _HEAD
        self._has_begun = False
        self._has_completed = False
        self._seen = 0
        self._chunk = 0
        self._since = self._last = self.loop.time()
        self._later: TimerHandle | None = None
        self._unsent = 0
        self._unsent_since = self._since

    # Connection ---------------------------------------------------------------------------------------

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Any", transport))
        self._joined = JoinedWrites(self.transport, self.loop)
        self._attached = self._make_attached()
        self._peer = self.client[0] if self.client else None
        refusal = self._guard.admit(self, self._peer)
        if refusal is not None:
            self._refuse(refusal, may_wait=False)
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.release(self)
        if self._later is not None:
            self._later.cancel()
        super().connection_lost(exc)
        # Breaks reference cycles, so that this object is freed at once instead of by the garbage collector.
        self.parser = self.cycle = cast("Any", None)
        self.pipeline.clear()
        self._attached.clear()

    def _make_attached(self) -> dict[str, Any]:
        """What each request's scope gets, the same for all of this connection."""
        attached: dict[str, Any] = {}
        attach_loop_shares(attached, self._guard.loop_shares, is_disconnected=self.transport.is_closing)
        attach_draining(attached, self._guard.draining)
        attach_head(attached, self._joined)
        attach_whole(attached, self._send_whole)
        return attached

    def data_received(self, data: bytes) -> None:
        self._receive(data if len(data) <= _HEAD_PIECE else self._receive_heads(memoryview(data)))

    def _receive_heads(self, data: memoryview) -> memoryview:
        """Parses in pieces, so that a large head is refused early. Returns the data that is not a head."""
        while len(data) > _HEAD_PIECE and self._phase in (_HEAD, _NONE):
            self._receive(data[:_HEAD_PIECE])
            data = data[_HEAD_PIECE:]
        return data

    def _receive(self, data: bytes | memoryview) -> None:
        if self._phase is _REFUSED:
            self._discard(len(data))
            return
        if self._phase is _BODY and self.cycle is not None and self.cycle.response_complete:
            self._read_on_slowly()
        if self._phase is _NONE:
            self._phase, self._seen, self._since = _HEAD, 0, self.loop.time()
        self._chunk, self._has_completed = len(data), False
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request is answered as if it had not asked for an upgrade
        except httptools.HttpParserError:
            self._refuse(self._refusal or BadHTTP())
            return
        if self._phase is not _NONE:
            self._note_part()

    def shutdown(self) -> None:
        """Called by the server for each connection when it begins to stop."""
        self._guard.draining.begin()
        super().shutdown()

    # Callbacks of the parser --------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._phase, self._has_begun = _HEAD, True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= _MOST_PIPELINED:
            raise TooManyConnections
        budgets = self._budgets
        too_large = self._seen + self._chunk > budgets.head_bytes and self._measure() > budgets.head_bytes
        if too_large or len(self.headers) > budgets.headers:
            self._refusal = self._make_head_refusal()
            raise self._refusal
        self._phase, self._seen = _BODY, 0
        self.scope.update(cast("Any", self._attached))
        if self._is_answering:
            mark_pipelined(self.scope)
        is_last = self.parser.should_upgrade()  # the parser takes all that follows for the other protocol
        if is_last:
            self.headers.append(_CLOSE)
        super().on_headers_complete()
        self.headers = []  # trailers must not reach the headers of the scope, which are checked already
        self.cycle.transport = cast("Any", self._joined)
        if is_last:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._phase, self._has_begun, self._has_completed = _NONE, False, True
        super().on_message_complete()

    def _send_whole(self, scope: Any, status: int, lines: bytes, body: "bytes | memoryview") -> bool:
        """As the server's own cycle sends the head and then the body, with one write and without a check of each."""
        cycle = self.cycle  # of the request that came last, which may have to wait for others sent ahead
        if cycle is None or cycle.scope is not scope or cycle.response_started or cycle.disconnected:
            return False
        if self.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        self._joined.flush()
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], join_lines(cycle.default_headers), lines, end, body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def on_response_complete(self) -> None:
        self._joined.flush()
        super().on_response_complete()

    # Partial requests and timeouts --------------------------------------------------------------------------------

    def _note_part(self) -> None:
        """Called when a chunk ends within a request; most requests arrive whole."""
        self._last = self.loop.time()
        if self._has_completed or (self._phase is _BODY and self._seen == 0):
            self._seen, self._since = 0, self._last
        self._seen += self._measure() if self._has_completed else self._chunk
        if self._phase is _HEAD:
            is_over = self._seen > self._budgets.head_bytes or self._count_headers() > self._budgets.headers
            if is_over:
                self._refuse(self._make_head_refusal())
            return
        self.headers.clear()  # trailers are not used
        if self._seen > _FRAMING * max(self._budgets.data_body_bytes, self._budgets.body_bytes):
            self.transport.abort()

    def _read_on_slowly(self) -> None:
        """Reads the unused rest of a body that was answered early, which may be large."""
        self.flow.pause_reading()
        self.loop.call_later(_PAUSE_SECONDS, self.flow.resume_reading)

    def check_timeouts(self, now: float) -> bool:
        """Called by the guard regularly. Returns whether this call ended the connection or changed its phase."""
        phase, was_closing = self._phase, self.transport.is_closing()
        self._check_response(now)
        if self.transport.is_closing():
            return not was_closing
        if phase is _HEAD:
            self._check_head(now)
        elif phase is _BODY:
            self._check_body(now)
        elif phase is _REFUSED:
            if now - self._since > _LINGER_SECONDS:
                self.transport.close()
        elif not self._is_answering and self.timeout_keep_alive_task is None:
            self.transport.close()  # the rest of a refused body arrived after its response and stopped the timer
        return self.transport.is_closing() or self._phase is not phase

    def _check_head(self, now: float) -> None:
        if self._is_answering or now - self._since <= self._budgets.head_seconds:
            return
        if self._has_begun:
            self._refuse(RequestTimeout())
        else:
            self.transport.close()  # no request was begun: a browser opened the connection in advance

    def _check_body(self, now: float) -> None:
        """Time in which this side does not read does not count."""
        if self.flow.read_paused and self._is_answering:
            self._last, self._since = now, self._since + now - self._last
        most = self._budgets.body_seconds if self._is_answering else self._budgets.body_idle_seconds
        if now - self._last > self._budgets.body_idle_seconds or now - self._since > most:
            self._refuse(RequestTimeout())

    def _check_response(self, now: float) -> None:
        """Aborts a response that the client does not read, even if the server has written all of it."""
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > self._budgets.send_idle_seconds:
            _log.info("answer.given_up", client=self._peer)
            self.transport.abort()

    # Refusals ---------------------------------------------------------------------------------------------

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, error: AppError, *, may_wait: bool = True) -> None:
        """Sends an error and reads no further request from this connection."""
        if self.transport.is_closing():
            return
        wait, may_answer = self._find_wait() if may_wait else 0.0, self._may_answer()
        if self._is_answering:
            self.cycle.disconnected, self.cycle.waiting_for_100_continue = True, False
            self.cycle.message_event.set()
        self._phase, self._since, self._seen = _REFUSED, self.loop.time() + wait, 0
        if wait:
            self.flow.pause_reading()
        answer = None
        if may_answer:
            answer, request_id = make_refusal(error, self.server_state.default_headers)
            _log.info("request.refused", code=error.code, request_id=request_id, client=self._peer)
        if wait:
            self._later = self.loop.call_later(wait, self._send_and_close, answer)
        else:
            self._send_and_close(answer)

    def _find_wait(self) -> float:
        """The seconds by which a refusal is delayed: none behind a trusted proxy, whose clients share one address."""
        if self._peer is None or is_in(self._peer, self._budgets.proxies):
            return 0.0
        return self._guard.loop_shares.charge(find_network(self._peer), UNMEASURED_SECONDS)

    def _send_and_close(self, answer: bytes | None) -> None:
        if answer is None:
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.write_eof()
            self.flow.resume_reading()

    def _discard(self, size: int) -> None:
        self._seen += size
        if self._seen > _LINGER_BYTES:
            self.transport.abort()

    def _may_answer(self) -> bool:
        """Whether no response to another request of the same connection is being written."""
        if not self._is_answering:
            return self.cycle is None or self._phase is not _BODY
        return self._phase is _BODY and not self.cycle.response_started and not self.pipeline

    def _make_head_refusal(self) -> HeadTooLarge:
        return HeadTooLarge(hint=f"At most {self._budgets.head_bytes} bytes and {self._budgets.headers} headers.")

    def _count_headers(self) -> int:
        return len(self.headers) if self._has_begun else 0

    def _measure(self) -> int:
        """The size of the head as far as it is parsed."""
        if not self._has_begun:
            return 0
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)


def make_protocol(budgets: RequestBudgets) -> Any:
    """Makes what uvicorn takes as its protocol class; called once for each process."""
    return partial(GuardedProtocol, guard=ConnectionGuard(budgets))
