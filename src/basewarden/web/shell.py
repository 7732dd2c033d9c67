"""The frame around a signed-in person's pages: their connections, the one that a path belongs to, and what it counts.

`accounts` knows who is signed in and nothing of the features above it, so `connections/wiring.py` passes the functions
that find what the frame shows.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import UUID

from starlette.requests import Request

from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.web.responses import wants_page

ListConnections = Callable[[UUID], Awaitable[Sequence[Any]]]
FindConnection = Callable[[UUID, UUID], Awaitable[tuple[Any, Any] | None]]
"""From the ids of a connection and a person: the connection and the person's role, or None for those of others."""
ShowVisitor = Callable[[Request], Awaitable[Any]]
"""Fills the frame of a page that is open to everyone, if a person is signed in. Never raises an error of the lookup."""


@dataclass(frozen=True, slots=True)
class RoomCount:
    """A number beside a room of the sidebar; `words` say what it counts. An urgent one asks a person to look."""

    number: int
    words: str
    tone: Literal["plain", "live", "frozen", "urgent"] = "plain"


@dataclass(frozen=True, slots=True)
class FreezeNote:
    """Who froze all agents of a connection, and why."""

    who: str
    user_id: UUID | None = None
    reason: str | None = None


FindFreeze = Callable[[UUID], Awaitable[FreezeNote]]
"""From the id of a connection whose agents are frozen."""
RoomCounts = Mapping[str, Sequence[RoomCount]]
"""By the path of the room below the connection's: `/sessions`."""
CountRooms = Callable[[UUID], Awaitable[RoomCounts]]
ReadCounts = Callable[[ReadSession, UUID], Awaitable[RoomCounts]]
"""As CountRooms, with what the session has written and not committed yet."""
COUNTS_TOPIC: Final = "counts"
"""Announced with the id of a connection where its counts change and no live event says so."""

CONNECTION_COOKIE = "basewarden.connection"
"""Holds the id of the connection that was opened last. It grants nothing: a page shows it only to its members."""
_CONNECTION_PATH = re.compile(r"/c/([^/?#]+)")
_OF_ALL_CONNECTIONS = re.compile(r"/(connections|search|c)(/|$)")
"""Pages that are not of one connection, or that find it themselves."""


class Shell:
    def __init__(self, list_connections: ListConnections, find_connection: FindConnection) -> None:
        self._list_connections = list_connections
        self._find_connection = find_connection
        self._count_rooms: CountRooms | None = None
        self._read_counts: ReadCounts | None = None
        self._find_freeze: FindFreeze | None = None

    def explain_freezes_with(self, find_freeze: FindFreeze) -> None:
        """Passes the function that finds who froze a connection's agents; the journal does."""
        self._find_freeze = find_freeze

    def count_with(self, count_rooms: CountRooms, read_counts: ReadCounts) -> None:
        """Passes the functions that count what is in a connection's rooms; the journal does."""
        self._count_rooms, self._read_counts = count_rooms, read_counts

    async def count_again(self, request: Request, session: ReadSession, connection_id: UUID) -> None:
        """For a page that answers the request that changed the counts."""
        if self._read_counts is not None and hasattr(request.state, "counts"):
            request.state.counts = await self._read_counts(session, connection_id)

    async def fill(self, request: Request, person_id: UUID) -> None:
        """Loads them for `Pages.render`, only for requests of pages.

        A page that returns to another one, such as re-authentication, shows the connection of that other page; a page
        of no connection, such as the docs, keeps the one that was opened last.
        """
        if wants_page(request):
            request.state.connections = await self._list_connections(person_id)
            await self.fill_connection(request, person_id, request.query_params.get("next", ""))
            if not hasattr(request.state, "connection") and not _OF_ALL_CONNECTIONS.match(request.url.path):
                await self.fill_last(request, person_id)

    async def fill_last(self, request: Request, person_id: UUID) -> None:
        """Shows the connection that the person opened last, otherwise their only one."""
        known = request.state.connections
        last = parse_id(request.cookies.get(CONNECTION_COOKIE, ""))
        wanted = last or (known[0].id if len(known) == 1 else None)
        if wanted is not None and "hx-request" not in request.headers:
            await self.fill_connection(request, person_id, f"/c/{wanted}")

    async def fill_connection(self, request: Request, person_id: UUID, path: str) -> None:
        """Shows the connection that the path belongs to, if the person is one of its members."""
        wanted = find_connection_id(path)
        found = await self._find_connection(wanted, person_id) if wanted else None
        if wanted is not None and found is not None:
            request.state.connection, request.state.role = found
            await self.fill_counts(request, wanted)

    async def fill_counts(self, request: Request, connection_id: UUID) -> None:
        """Loads the counts of a connection that the person is a member of; a part of a page has no sidebar."""
        if not wants_page(request) or "hx-request" in request.headers:
            return
        if self._count_rooms is not None:
            request.state.counts = await self._count_rooms(connection_id)
        if self._find_freeze is not None and request.state.connection.agents_frozen_at is not None:
            request.state.freeze = await self._find_freeze(connection_id)


def find_connection_id(path: str) -> UUID | None:
    """Finds the id in a path below `/c/`; it may be anyone's."""
    match = _CONNECTION_PATH.match(path)
    return parse_id(match[1]) if match else None
