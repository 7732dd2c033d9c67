"""FastAPI's routes, resolved before a request needs them."""

import asyncio
from collections import deque

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

_PAUSE_SECONDS = 0.02


async def resolve_routes(app: FastAPI) -> None:
    """Resolves one included router after the other, with time for requests between.

    FastAPI does it at the first request that reaches a router, and an unknown path reaches all of them: that would be a
    tenth of a second in one piece.
    """
    for route in app.routes:
        deque(iter_route_contexts([route]), maxlen=0)
        await asyncio.sleep(_PAUSE_SECONDS)
