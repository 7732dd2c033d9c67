"""The frame around the pages of a signed-in person: the connections that it lists, and the one that a path belongs to.

`accounts` knows who is signed in and nothing of the features above it, so `connections/wiring.py` passes the functions
that find what the frame shows.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from starlette.requests import Request

from basewarden.core.ids import parse_id
from basewarden.web.responses import wants_page

ListConnections = Callable[[UUID], Awaitable[Sequence[Any]]]
FindConnection = Callable[[UUID, UUID], Awaitable[tuple[Any, Any] | None]]
"""From the ids of a connection and a person: the connection and the person's role, or None for those of others."""
ShowVisitor = Callable[[Request], Awaitable[Any]]
"""Fills the frame of a page that is open to everyone, if a person is signed in. Never raises an error of the lookup."""

_CONNECTION_PATH = re.compile(r"/c/([^/?#]+)")


class Shell:
    def __init__(self, list_connections: ListConnections, find_connection: FindConnection) -> None:
        self._list_connections = list_connections
        self._find_connection = find_connection

    async def fill(self, request: Request, person_id: UUID) -> None:
        """Loads them for `Pages.render`, only for requests of pages.

        A page that returns to another one, such as re-authentication, shows the connection of that other page.
        """
        if wants_page(request):
            request.state.connections = await self._list_connections(person_id)
            await self.fill_connection(request, person_id, request.query_params.get("next", ""))

    async def fill_connection(self, request: Request, person_id: UUID, path: str) -> None:
        """Shows the connection that the path belongs to, if the person is one of its members."""
        wanted = find_connection_id(path)
        found = await self._find_connection(wanted, person_id) if wanted else None
        if found is not None:
            request.state.connection, request.state.role = found


def find_connection_id(path: str) -> UUID | None:
    """Finds the id in a path below `/c/`; it may be anyone's."""
    match = _CONNECTION_PATH.match(path)
    return parse_id(match[1]) if match else None
