"""A response that is streamed from the project to our caller: only what the caller has not taken yet is held."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import structlog

from basewarden.connections.rest import HTTPConnection, HTTPFailure, ProtocolError, ReadTimeout, RestClient
from basewarden.errors import BadRequest
from basewarden.gateway.api.headers import find_header
from basewarden.gateway.api.upstream import Header
from basewarden.gateway.errors import UpstreamInvalid, UpstreamTimeout
from basewarden.gateway.response_headers import WITHOUT_BODY, Audience, choose_headers
from basewarden.web import RawHeader

MOST_KEPT_BYTES = 64 * 1024 * 1024
_STALL_SECONDS = 60.0
_WATCH_AFTER_SECONDS = 0.03
"""at least, at most twice that"""
_log = structlog.get_logger()
Send = Callable[[Any], Awaitable[None]]


class DisconnectWatch:
    """Watches for clients that disconnect, of all requests that take long. One timer serves all of them."""

    __slots__ = ("_new", "_old", "_timer")

    def __init__(self) -> None:
        self._new: set[CancelOnDisconnect] = set()
        self._old: set[CancelOnDisconnect] = set()
        self._timer: asyncio.TimerHandle | None = None

    def cancel_on_disconnect(self, receive: Callable[[], Awaitable[Any]]) -> "CancelOnDisconnect":
        """`with watch.cancel_on_disconnect(receive) as watching`."""
        return CancelOnDisconnect(self, receive)

    def add(self, request: "CancelOnDisconnect") -> None:
        self._new.add(request)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, self._look)

    def remove(self, request: "CancelOnDisconnect") -> None:
        self._new.discard(request)
        self._old.discard(request)

    def _look(self) -> None:
        """What was there at the last look has taken long enough."""
        for request in self._old:
            request.begin()
        self._old, self._new = self._new, set()
        is_needed = bool(self._old)
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, self._look) if is_needed else None


class CancelOnDisconnect:
    """Cancels the block when our client disconnects. Most requests are over before that is watched for."""

    __slots__ = ("_is_gone", "_is_over", "_others", "_receive", "_task", "_watch")

    def __init__(self, others: DisconnectWatch, receive: Callable[[], Awaitable[Any]]) -> None:
        self._others = others
        self._receive = receive
        self._is_gone = self._is_over = False
        self._task: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._others.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._is_gone and kind is asyncio.CancelledError and self._task is not None and not self._task.uncancel():
            raise BadRequest("The request ended before its body was complete.") from None

    def stop(self) -> None:
        """Before the last part is sent: after it, the server itself says that this is over."""
        if self._is_over:
            return
        self._is_over = True
        self._others.remove(self)
        if self._watch is not None:
            self._watch.cancel()

    def begin(self) -> None:
        """Begins to watch."""
        self._watch = asyncio.get_running_loop().create_task(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        assert self._task is not None
        self._is_gone = True
        self._task.cancel()


class UpstreamStream:
    """Its head is here. `stream_to` or `read_whole`, once."""

    __slots__ = ("_client", "_coding", "_connection", "_length", "headers", "status")

    def __init__(self, client: RestClient, connection: HTTPConnection, headers: list[Header]) -> None:
        self._client = client
        self._connection = connection
        self._coding = find_header(connection.headers, b"content-encoding").lower()
        self._length = find_length(connection.headers)
        self.status = connection.status
        self.headers = headers

    @property
    def is_compressed(self) -> bool:
        return self._coding not in (b"", b"identity")

    def check_coding(self, *, takes_gzip: bool) -> None:
        """Only what was asked for is relayed: a project does not choose what our caller has to decode."""
        if self.is_compressed and not (takes_gzip and self._coding == b"gzip"):
            self._client.release(self._connection)
            raise UpstreamInvalid("The project's API compressed its response with an encoding that was not requested.")

    async def stream_to(self, send: Send, watch: CancelOnDisconnect, audience: Audience, *, is_head: bool) -> None:
        """To our caller as it comes. What breaks off here breaks off there: a body is never short in silence."""
        try:
            first = await self._read_first()
            if self._connection.is_whole:
                await self._send_whole(send, watch, first, audience, is_head=is_head)
            else:
                await self._send_parts(send, watch, first, audience)
        finally:
            self._client.release(self._connection)

    async def read_whole(self) -> bytes:
        try:
            async with asyncio.timeout(_STALL_SECONDS):
                return await self._client.read_whole(self._connection, MOST_KEPT_BYTES)
        except (TimeoutError, ReadTimeout):
            raise UpstreamTimeout from None
        except HTTPFailure as error:
            raise explain_broken(error) from None
        finally:
            self._client.release(self._connection)

    async def _read_first(self) -> bytes:
        """Reads before anything is sent, so that an error until then can still be the response."""
        try:
            first = await self._connection.read()
            self._connection.check()
        except ReadTimeout:
            raise UpstreamTimeout from None
        except HTTPFailure as error:
            raise explain_broken(error) from None
        return first

    async def _send_whole(
        self, send: Send, watch: CancelOnDisconnect, body: bytes, audience: Audience, *, is_head: bool
    ) -> None:
        while more := await self._connection.read():
            body += more
        has_length = not is_head and self.status not in WITHOUT_BODY
        headers = self._make_headers(audience, b"%d" % len(body) if has_length else None, has_body=bool(body))
        watch.stop()
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _send_parts(self, send: Send, watch: CancelOnDisconnect, first: bytes, audience: Audience) -> None:
        headers = self._make_headers(audience, self._length, has_body=True)
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        try:
            part = first
            while part:
                async with asyncio.timeout(_STALL_SECONDS):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                part = await self._connection.read()
        except (HTTPFailure, TimeoutError) as error:
            _log.warning("api.cut_off", reason=type(error).__name__)
            raise UpstreamInvalid("The response ended early.") from None  # the server ends the connection for it
        watch.stop()
        await send({"type": "http.response.body", "body": b""})

    def _make_headers(self, audience: Audience, length: bytes | None, *, has_body: bool) -> list[RawHeader]:
        headers = [*choose_headers(self.status, self.headers, audience, has_body=has_body).pairs]
        if self.is_compressed:
            headers.append((b"content-encoding", self._coding))
        if length is not None:
            headers.append((b"content-length", length))
        return headers


def explain_broken(error: HTTPFailure) -> UpstreamInvalid:
    if isinstance(error, ProtocolError):
        return UpstreamInvalid(f"The project's API sent an invalid response. {error}")
    return UpstreamInvalid("The project's API ended its response early.")


def find_length(headers: list[RawHeader]) -> bytes | None:
    """The length of the whole body, where the parser went by it."""
    length = find_header(headers, b"content-length")
    return length if length.isdigit() and not find_header(headers, b"transfer-encoding") else None
