"""One HTTP/1.1 connection to a project's API: one exchange at a time, with backpressure.

httptools (llhttp) parses strictly. Checked here is what it cannot know: the size of a head, that a body declares its
length, and that no data arrives without a request.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable

_HIGH_WATER = 64 * 1024
_MAX_HEAD_BYTES = 64 * 1024
_MAX_INTERIM_RESPONSES = 8
_MIN_BYTES_PER_SPAN = 1024
_MAX_FRAMING_BYTES = 64 * 1024
"""The limit for the framing of a body beyond its own size: parsing one-byte chunks takes too much time."""
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL_STATUS = 200
_WITHOUT_BODY: Final = frozenset({204, 304})

RawHeader = tuple[bytes, bytes]


class HTTPFailure(Exception):
    """The exchange did not complete."""


class NoResponse(HTTPFailure):
    """The connection closed before the first byte of a response. The request may or may not have been processed."""


class ResponseTruncated(HTTPFailure):
    """The connection closed in the middle of a response."""


class ReadTimeout(HTTPFailure):
    """Too few bytes arrived in time."""


class ProtocolError(HTTPFailure):
    """The response is not valid HTTP/1.1, or exceeds a limit. The message quotes nothing of it."""


class HTTPConnection(asyncio.Protocol):
    """Call `start`, `read_head`, then `read` until it returns nothing; `is_reusable` allows another exchange."""

    def __init__(self, on_lost: "Callable[[HTTPConnection], None]") -> None:
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: HTTPFailure | None = None
        self._chunks: deque[bytes] = deque()
        self._queued = 0
        self._is_paused = False
        self._is_active = False
        self._is_head = False
        self._has_head = False
        self._is_complete = False
        self._keeps_alive = False
        self._head_bytes = 0
        self._interim = 0
        self._idle_seconds = 0.0
        self._received = 0
        self._framing_bytes = 0
        self.has_answered = False
        self.is_lost = False
        self.exchanges = 0
        self._idle_since = self._loop.time()
        self.status = 0
        self.headers: list[RawHeader] = []

    # called by asyncio ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        if not self._is_active or self._is_complete:
            self.abort()  # unrequested data, which could be taken for the response to the next request
            return
        self.has_answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(ProtocolError("It switches to another protocol."))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, HTTPFailure) else ProtocolError("It is not HTTP."))
        except httptools.HttpParserError:
            self._fail(ProtocolError("It is not HTTP."))
        else:
            self._check_size(len(data))

    def connection_lost(self, _exc: Exception | None) -> None:
        self.is_lost = True
        if self._is_active and not self._is_complete:
            self._fail(ResponseTruncated() if self.has_answered else NoResponse())
        self._on_lost(self)

    # called by httptools --------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._keeps_alive = False
            raise ProtocolError("It is longer than announced.")
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MAX_HEAD_BYTES:
            raise ProtocolError("Its headers are too large.")
        if not self._has_head:  # trailers are ignored
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            self._interim += 1
            if status == _SWITCHING_PROTOCOLS or self._interim > _MAX_INTERIM_RESPONSES:
                raise ProtocolError("It has too many interim responses.")
            return
        self.status = status
        self._keeps_alive = bool(self._parser.should_keep_alive())
        self._has_head = True
        self._stop_timer()  # the head's timer; the body has one of its own
        if self._is_head:
            self._end()
        elif status not in _WITHOUT_BODY and not _has_length(self.headers):
            raise ProtocolError("Its length is missing, so a truncated response could not be detected.")

    def on_body(self, body: bytes) -> None:
        if self._is_complete:
            raise ProtocolError("A response to HEAD has a body.")
        self._chunks.append(body)
        self._queued += len(body)
        self._framing_bytes -= 2 * len(body)  # the body counts against framing, which may be as large as the body
        if self._queued > _HIGH_WATER and not self._is_paused:
            self._pause()

    def on_message_complete(self) -> None:
        if self._has_head and not self._is_complete:
            self._end()

    # called by clients ----------------------------------------------------------------------------------

    @property
    def is_reusable(self) -> bool:
        return self._is_complete and self._keeps_alive and not self._chunks and not self.is_lost and not self._failure

    @property
    def is_whole(self) -> bool:
        """The rest of the body has arrived."""
        return self._is_complete

    @property
    def idle_seconds(self) -> float:
        return self._loop.time() - self._idle_since

    @property
    def is_read(self) -> bool:
        """The whole body has arrived and was read."""
        return self._is_complete and not self._chunks

    def check(self) -> None:
        """Raises a failure that has occurred, even if there is something left to read."""
        if self._failure is not None:
            raise self._failure

    def start(self, data: bytes, *, is_head: bool, head_seconds: float, idle_seconds: float) -> None:
        """Sends one request. On a connection that is already closed, `read_head` raises NoResponse."""
        self._is_active = True
        self._is_complete = self._has_head = self.has_answered = False
        self._is_head = is_head
        self._failure = None
        self._head_bytes = self._interim = self._framing_bytes = 0
        self._idle_seconds = idle_seconds
        self.exchanges += 1
        assert self._transport is not None
        if self.is_lost or self._transport.is_closing():
            self._fail(NoResponse())
            return
        self._timer = self._loop.call_later(head_seconds, self._expire)
        self._transport.write(data)

    async def read_head(self) -> None:
        """Waits for the head of the response, which sets `status` and `headers`."""
        while not self._has_head:
            await self._wait()

    async def read(self) -> bytes:
        """Reads the part of the body that has arrived; empty at its end."""
        while not self._chunks:
            if self._is_complete:
                return b""
            await self._wait()
        chunk = self._chunks.popleft() if len(self._chunks) == 1 else self._take_chunks()
        self._queued = 0
        if self._is_paused:
            self._resume()
        return chunk

    async def read_start(self, enough: int) -> bytes:
        """Reads at least that many bytes of the body, or all of it."""
        parts: list[bytes] = []
        size = 0
        while size < enough and (chunk := await self.read()):
            size += len(chunk)
            parts.append(chunk)
        return b"".join(parts)

    async def read_whole(self, limit: int, start: bytes = b"") -> bytes:
        """Reads the rest of the body after `start`. Raises ProtocolError if both are larger than the limit."""
        parts, size = [start], len(start)
        while size <= limit and (chunk := await self.read()):
            size += len(chunk)
            parts.append(chunk)
        if size > limit:
            raise ProtocolError("It is too large.")
        return b"".join(parts)

    def set_idle(self) -> None:
        """Prepares the connection for the next exchange."""
        self._is_active = False
        self._idle_since = self._loop.time()
        if self._is_head:
            self._parser = httptools.HttpResponseParser(self)  # the old parser still expects a body

    def abort(self) -> None:
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    def _take_chunks(self) -> bytes:
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken

    async def _wait(self) -> None:
        self.check()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if not self._chunks:
            self.check()

    def _end(self) -> None:
        self._is_complete = True
        self._stop_timer()

    def _check_size(self, size: int) -> None:
        if not self._has_head:
            self._head_bytes += size
            if self._head_bytes > 2 * _MAX_HEAD_BYTES:
                self._fail(ProtocolError("Its headers are too large."))
            return  # the head's timer is not restarted, however slowly it arrives
        self._framing_bytes += size
        if self._framing_bytes > _MAX_FRAMING_BYTES and not self._is_complete:
            self._fail(ProtocolError("The chunks of its body are too small."))
            return
        self._received += size
        if self._timer is None and not self._is_complete and not self._is_paused:
            self._start_timer()
        self._notify()

    def _pause(self) -> None:
        assert self._transport is not None
        self._is_paused = True
        self._stop_timer()  # the delay is ours
        self._transport.pause_reading()

    def _resume(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self.is_lost:
            self._transport.resume_reading()
        if not self._is_complete:
            self._start_timer()

    def _start_timer(self) -> None:
        """Starts a span in which a minimum of bytes must arrive, so that a trickling body times out."""
        self._received = 0
        self._timer = self._loop.call_later(self._idle_seconds, self._check_progress)

    def _check_progress(self) -> None:
        if self._received < _MIN_BYTES_PER_SPAN:
            self._expire()
        else:
            self._start_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._fail(ReadTimeout())

    def _fail(self, failure: HTTPFailure) -> None:
        """Records a failure. Data that arrived before is still read; a complete response is not affected."""
        self._keeps_alive = False
        if self._failure is None and not self._is_complete:
            self._failure = failure
        self.abort()
        self._notify()

    def _notify(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _has_length(headers: list[RawHeader]) -> bool:
    return any(
        name == b"content-length" or (name == b"transfer-encoding" and value.lower().strip() == b"chunked")
        for name, value in headers
    )
