"""The admin server: is it alive, is it ready, what does it know. No secret is in any answer."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pgrest.response import Response
from pgrest.server.metrics import write_metrics
from pgrest.server.shared_metrics import Metric, SharedMetrics
from pgrest.server.snapshot import write_snapshot
from pgrest.server.state import ServerState
from pgrest.settings import dump_settings

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_REACH_SECONDS = 2


class AdminServer:
    """Answers for all workers; `listener` is the socket that they serve requests on."""

    def __init__(self, live: ServerState, board: SharedMetrics, listener: socket.socket) -> None:
        self._live = live
        self._board = board
        self._listener = listener

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI has it
        if scope["type"] != "http":
            return
        response = await self._answer(scope["path"])
        headers = [(name.encode(), value.encode()) for name, value in response.headers]
        headers.append((b"Content-Length", b"%d" % len(response.body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _answer(self, path: str) -> Response:
        match path:
            case "/live":
                return Response(200 if await self._is_reachable() else 500, ())
            case "/ready":
                return Response(await self._find_readiness(), ())
            case "/metrics":
                self._live.post_figures()
                return _show(write_metrics(self._board).encode(), _TEXT)
            case "/config":
                return _show(dump_settings(self._live.settings).encode(), _TEXT)
            case "/schema_cache":
                return _show(await self._take_snapshot(), _JSON)
        return Response(404, ())

    async def _find_readiness(self) -> int:
        if not await self._is_reachable():
            return 500
        is_loaded = all(self._board.list_all(Metric.IS_LOADED))
        return 200 if is_loaded and await self._is_connected() else 503

    async def _is_connected(self) -> bool:
        if not self._live.settings.listens:
            return await self._live.is_connected()
        return all(self._board.list_all(Metric.IS_CONNECTED))

    async def _is_reachable(self) -> bool:
        """Whether the socket that serves requests accepts."""
        loop = asyncio.get_running_loop()
        with socket.socket(self._listener.family, socket.SOCK_STREAM) as probe:
            probe.settimeout(0)
            try:
                async with asyncio.timeout(_REACH_SECONDS):
                    await loop.sock_connect(probe, self._listener.getsockname())
            except (OSError, TimeoutError):
                return False
        return True

    async def _take_snapshot(self) -> bytes:
        if not self._live.is_loaded:
            return b""
        schema = await self._live.cache.get()
        return await asyncio.to_thread(write_snapshot, schema)


def _show(body: bytes, media: str) -> Response:
    return Response(200, (("Content-Type", media),), body)
