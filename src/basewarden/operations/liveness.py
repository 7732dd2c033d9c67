"""Answers `GET /api/health/live` before any other part of the product runs, because it is requested often."""

from collections.abc import Awaitable
from typing import Any

from basewarden.operations.health import LIVE_PATH
from basewarden.operations.health_routes import LiveBody

_BODY = LiveBody().model_dump_json().encode()
_HEADERS = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY)))


class Liveness:
    """ASGI middleware. The route answers other methods, and describes the operation."""

    def __init__(self, then: Any) -> None:
        self._then = then

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] != "http" or scope["path"] != LIVE_PATH or scope["method"] != "GET":
            passed_on: Awaitable[None] = self._then(scope, receive, send)
            return passed_on
        return self._answer(send)

    async def _answer(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        await send({"type": "http.response.body", "body": _BODY})
