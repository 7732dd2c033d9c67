"""One HTTP/1.1 connection to a project's API: one exchange at a time, and no more is read than somebody takes.

httptools (llhttp) parses, strictly. What it cannot know is checked here: how large a head may get, that a body says
how long it is, and that nothing comes which was not asked for.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable

_HIGH_WATER = 64 * 1024
_MOST_HEAD_BYTES = 64 * 1024
_MOST_INTERIM_ANSWERS = 8
_LEAST_BYTES = 1024
_MOST_FRAMING_BYTES = 64 * 1024
"""What the framing of a body may take beyond the size of the body: parsing chunks of a byte costs too much time."""
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL_STATUS = 200
_WITHOUT_BODY: Final = frozenset({204, 304})

RawHeader = tuple[bytes, bytes]


class HTTPFailure(Exception):
    """An exchange that did not come to its end."""


class NoAnswer(HTTPFailure):
    """The connection ended before a byte of the answer came. The request may have been read or not."""


class CutOff(HTTPFailure):
    """The connection ended within the answer."""


class TooSlow(HTTPFailure):
    """Too little came for too long."""


class Garbled(HTTPFailure):
    """What came is no answer in HTTP/1.1, or is over its bounds. Its text says what, and repeats nothing of it."""


class HTTPConnection(asyncio.Protocol):
    """`start`, then `read_head`, then `read` until it gives nothing; `is_reusable` says whether it may go on."""

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
        self._came = 0
        self._framing_bytes = 0
        self.has_answered = False
        self.is_lost = False
        self.exchanges = 0
        self._idle_since = self._loop.time()
        self.status = 0
        self.headers: list[RawHeader] = []

    # asyncio's side -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        if not self._is_active or self._is_complete:
            self.abort()  # nobody asked; it could pass for the answer to the next request
            return
        self.has_answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(Garbled("It switches to another protocol."))
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, HTTPFailure) else Garbled("It is not HTTP."))
        except httptools.HttpParserError:
            self._fail(Garbled("It is not HTTP."))
        else:
            self._note_progress(len(data))

    def connection_lost(self, _exc: Exception | None) -> None:
        self.is_lost = True
        if self._is_active and not self._is_complete:
            self._fail(CutOff() if self.has_answered else NoAnswer())
        self._on_lost(self)

    # httptools' side ------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._keeps_alive = False
            raise Garbled("It is longer than announced.")
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MOST_HEAD_BYTES:
            raise Garbled("Its headers are too large.")
        if not self._has_head:  # else it is a trailer, which means nothing to us
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _FIRST_FINAL_STATUS:
            self._interim += 1
            if status == _SWITCHING_PROTOCOLS or self._interim > _MOST_INTERIM_ANSWERS:
                raise Garbled("It has too many interim responses.")
            return
        self.status = status
        self._keeps_alive = bool(self._parser.should_keep_alive())
        self._has_head = True
        self._stop_timer()  # that of the head; the body has one of its own
        if self._is_head:
            self._end()
        elif status not in _WITHOUT_BODY and not _tells_length(self.headers):
            raise Garbled("Its length is missing, so a truncated response could not be detected.")

    def on_body(self, body: bytes) -> None:
        if self._is_complete:
            raise Garbled("A response to HEAD has a body.")
        self._chunks.append(body)
        self._queued += len(body)
        self._framing_bytes -= 2 * len(body)  # it came within what is added below, and pays for as much again
        if self._queued > _HIGH_WATER and not self._is_paused:
            self._pause()

    def on_message_complete(self) -> None:
        if self._has_head and not self._is_complete:
            self._end()

    # Ours -----------------------------------------------------------------------------------------------

    @property
    def is_reusable(self) -> bool:
        return self._is_complete and self._keeps_alive and not self._chunks and not self.is_lost and not self._failure

    @property
    def is_whole(self) -> bool:
        """The rest of the body is here already."""
        return self._is_complete

    @property
    def idle_seconds(self) -> float:
        return self._loop.time() - self._idle_since

    @property
    def is_read(self) -> bool:
        """The body came to its end and was taken."""
        return self._is_complete and not self._chunks

    def check(self) -> None:
        """Raises what went wrong so far, though there may be something left to read."""
        if self._failure is not None:
            raise self._failure

    def start(self, data: bytes, *, is_head: bool, head_seconds: float, idle_seconds: float) -> None:
        """Sends one request. A connection that was lost meanwhile fails like one that ends without an answer."""
        self._is_active = True
        self._is_complete = self._has_head = self.has_answered = False
        self._is_head = is_head
        self._failure = None
        self._head_bytes = self._interim = self._framing_bytes = 0
        self._idle_seconds = idle_seconds
        self.exchanges += 1
        assert self._transport is not None
        if self.is_lost or self._transport.is_closing():
            self._fail(NoAnswer())
            return
        self._timer = self._loop.call_later(head_seconds, self._expire)
        self._transport.write(data)

    async def read_head(self) -> None:
        """Then `status` and `headers` are those of the answer."""
        while not self._has_head:
            await self._wait()

    async def read(self) -> bytes:
        """What of the body has come; nothing at its end."""
        while not self._chunks:
            if self._is_complete:
                return b""
            await self._wait()
        chunk = self._chunks.popleft() if len(self._chunks) == 1 else self._take_all()
        self._queued = 0
        if self._is_paused:
            self._resume()
        return chunk

    async def read_start(self, enough: int) -> bytes:
        """The body until that many bytes have come, or all of it."""
        parts: list[bytes] = []
        size = 0
        while size < enough and (chunk := await self.read()):
            size += len(chunk)
            parts.append(chunk)
        return b"".join(parts)

    async def read_whole(self, limit: int, start: bytes = b"") -> bytes:
        """`start` and the rest of the body; Garbled where they are larger than that."""
        parts, size = [start], len(start)
        while size <= limit and (chunk := await self.read()):
            size += len(chunk)
            parts.append(chunk)
        if size > limit:
            raise Garbled("It is too large.")
        return b"".join(parts)

    def rest(self) -> None:
        """Between two exchanges."""
        self._is_active = False
        self._idle_since = self._loop.time()
        if self._is_head:
            self._parser = httptools.HttpResponseParser(self)  # the old one still waits for the body

    def abort(self) -> None:
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    def _take_all(self) -> bytes:
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

    def _note_progress(self, size: int) -> None:
        if not self._has_head:
            self._head_bytes += size
            if self._head_bytes > 2 * _MOST_HEAD_BYTES:
                self._fail(Garbled("Its headers are too large."))
            return  # the time for a head is one, however slowly it drips
        self._framing_bytes += size
        if self._framing_bytes > _MOST_FRAMING_BYTES and not self._is_complete:
            self._fail(Garbled("The chunks of its body are too small."))
            return
        self._came += size
        if self._timer is None and not self._is_complete and not self._is_paused:
            self._start_timer()
        self._wake()

    def _pause(self) -> None:
        assert self._transport is not None
        self._is_paused = True
        self._stop_timer()  # it is we who are slow
        self._transport.pause_reading()

    def _resume(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self.is_lost:
            self._transport.resume_reading()
        if not self._is_complete:
            self._start_timer()

    def _start_timer(self) -> None:
        """A body that drips is as good as none: in each of these spans a little has to come."""
        self._came = 0
        self._timer = self._loop.call_later(self._idle_seconds, self._check_progress)

    def _check_progress(self) -> None:
        if self._came < _LEAST_BYTES:
            self._expire()
        else:
            self._start_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._fail(TooSlow())

    def _fail(self, failure: HTTPFailure) -> None:
        """What came before it is still read first, but an answer that ended well stays so."""
        self._keeps_alive = False
        if self._failure is None and not self._is_complete:
            self._failure = failure
        self.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _tells_length(headers: list[RawHeader]) -> bool:
    return any(
        name == b"content-length" or (name == b"transfer-encoding" and value.lower().strip() == b"chunked")
        for name, value in headers
    )
