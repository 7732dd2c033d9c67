"""An answer on its way from the project to our caller: no more of it is here than the caller has yet to take."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import structlog

from basewarden.connections.rest.client import RestClient
from basewarden.connections.rest.wire import Garbled, HTTPConnection, HTTPFailure, TooSlow
from basewarden.errors import BadRequest
from basewarden.gateway.errors import UpstreamInvalid, UpstreamTimeout
from basewarden.gateway.forward.upstream import Header

MOST_KEPT_BYTES = 64 * 1024 * 1024
_STALL_SECONDS = 60.0
_WATCH_AFTER_SECONDS = 0.05
_log = structlog.get_logger()
Send = Callable[[Any], Awaitable[None]]


class WhileConnected:
    """Ends the block when our client has gone. Most requests are over before anybody needs to look."""

    __slots__ = ("_is_gone", "_receive", "_task", "_timer", "_watch")

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        self._receive = receive
        self._is_gone = False
        self._task: asyncio.Task[Any] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_SECONDS, self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._is_gone and kind is asyncio.CancelledError and self._task is not None and not self._task.uncancel():
            raise BadRequest("The request was cut off.") from None

    def stop(self) -> None:
        """Before the last part is sent: after it, the server itself says that this is over."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    def _begin(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        assert self._task is not None
        self._is_gone = True
        self._task.cancel()


class Incoming:
    """Its head is here. `relay` or `read_whole`, once."""

    __slots__ = ("_client", "_connection", "headers", "status")

    def __init__(self, client: RestClient, connection: HTTPConnection, headers: list[Header]) -> None:
        self._client = client
        self._connection = connection
        self.status = connection.status
        self.headers = headers

    async def relay(self, send: Send, watch: WhileConnected, *, is_head: bool) -> None:
        """To our caller as it comes. What breaks off here breaks off there: a body is never short in silence."""
        try:
            first = await self._read_first()
            if self._connection.is_whole:
                await self._send_whole(send, watch, first, is_head=is_head)
            else:
                await self._send_parts(send, watch, first)
        finally:
            self._client.done(self._connection)

    async def read_whole(self) -> bytes:
        try:
            async with asyncio.timeout(_STALL_SECONDS):
                return await self._connection.read_whole(MOST_KEPT_BYTES)
        except (TimeoutError, TooSlow):
            raise UpstreamTimeout from None
        except HTTPFailure as error:
            raise explain_broken(error) from None
        finally:
            self._client.done(self._connection)

    async def _read_first(self) -> bytes:
        """Before anything is sent, so that what fails by now can still be told."""
        try:
            first = await self._connection.read()
            self._connection.check()
        except TooSlow:
            raise UpstreamTimeout from None
        except HTTPFailure as error:
            raise explain_broken(error) from None
        return first

    async def _send_whole(self, send: Send, watch: WhileConnected, body: bytes, *, is_head: bool) -> None:
        while more := await self._connection.read():
            body += more
        headers = [pair for pair in self.headers if pair[0] != "Content-Length"]
        if not is_head and self.status not in (204, 304):
            headers.append(("Content-Length", str(len(body))))
        watch.stop()
        await _start(send, self.status, headers)
        await send({"type": "http.response.body", "body": body})

    async def _send_parts(self, send: Send, watch: WhileConnected, first: bytes) -> None:
        await _start(send, self.status, self.headers)
        try:
            part = first
            while part:
                async with asyncio.timeout(_STALL_SECONDS):
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                part = await self._connection.read()
        except (HTTPFailure, TimeoutError) as error:
            _log.warning("forward.cut_off", reason=type(error).__name__)
            raise UpstreamInvalid("The answer broke off.") from None  # the server ends the connection for it
        watch.stop()
        await send({"type": "http.response.body", "body": b""})


def explain_broken(error: HTTPFailure) -> UpstreamInvalid:
    if isinstance(error, Garbled):
        return UpstreamInvalid(f"The project's own API gave no answer that can be used. {error}")
    return UpstreamInvalid("The project's own API broke its answer off.")


async def _start(send: Send, status: int, headers: list[Header]) -> None:
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
