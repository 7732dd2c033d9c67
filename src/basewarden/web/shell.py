"""The connections that the shell lists on every page of a signed-in person.

`accounts` knows who is signed in and nothing of the features above it, so `connections/wiring.py` passes the function
that finds what the shell lists.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from starlette.requests import Request

from basewarden.web.responses import wants_page

ListConnections = Callable[[UUID], Awaitable[Sequence[Any]]]


class Shell:
    def __init__(self, list_connections: ListConnections) -> None:
        self._list_connections = list_connections

    async def fill(self, request: Request, person_id: UUID) -> None:
        """Loads them for `Pages.render`, only for requests of pages."""
        if wants_page(request):
            request.state.connections = await self._list_connections(person_id)
