"""FastAPI's routes, resolved before a request needs them."""

import asyncio
from collections import deque

from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

_PAUSE_SECONDS = 0.02


def list_routes(*routers: APIRouter) -> list[BaseRoute]:
    """The routes of these routers, for any number of applications in this process.

    FastAPI resolves a router each time that it is included, which for all of ours takes tenths of a second.
    """
    parent = APIRouter()
    for router in routers:
        parent.include_router(router)
    return parent.routes


async def resolve_routes(app: FastAPI) -> None:
    """Resolves one included router after the other, with time for requests between.

    FastAPI does it at the first request that reaches a router, and an unknown path reaches all of them: that would be a
    tenth of a second in one piece.
    """
    for route in app.routes:
        deque(iter_route_contexts([route]), maxlen=0)
        await asyncio.sleep(_PAUSE_SECONDS)
