"""Where reports and traces go in tests: an HTTP server on loopback that keeps what it is sent."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fixtures.ports import open_listener
from tests.fixtures.serving import serving

TIMEOUT_SECONDS = 15


@dataclass(frozen=True)
class CollectedRequest:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Collector:
    url: str = ""
    deliveries: "asyncio.Queue[CollectedRequest]" = field(default_factory=asyncio.Queue)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.deliveries.put_nowait(CollectedRequest(request.url.path, dict(request.headers), body))
        return Response(status_code=200)

    async def next(self) -> CollectedRequest:
        return await asyncio.wait_for(self.deliveries.get(), TIMEOUT_SECONDS)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector, listener = Collector(), open_listener()
    collector.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    app = Starlette(routes=[Route("/{path:path}", collector.take, methods=["POST"])])
    async with serving(app, listener):
        yield collector
