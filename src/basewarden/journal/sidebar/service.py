"""Counts for the sidebar, kept for a few seconds."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from basewarden.connections import STOP_TOPIC
from basewarden.core.cache import LoadingCache
from basewarden.db import Database, Listener, ReadSession
from basewarden.journal.notices import LIVE_TOPIC, parse_notice
from basewarden.journal.sidebar.queries import count_rooms
from basewarden.web import COUNTS_TOPIC, ReadCounts, RoomCount, RoomCounts

KEEP_SECONDS = 3.0
MAX_COUNTED = 1000
_CACHE_SIZE = 1000


class SidebarCounts:
    """A person who clicks quickly costs one query, and so do all members who look at the same connection.

    Counts are forgotten when something happens on the connection, so that a frozen session is not shown as running.
    """

    def __init__(self, database: Database, listener: Listener, *, keep_seconds: float = KEEP_SECONDS) -> None:
        self._database = database
        self._readers: list[ReadCounts] = [_read_counts]
        self._known = LoadingCache(self._load, size=_CACHE_SIZE, seconds=keep_seconds)
        listener.on(LIVE_TOPIC, self._forget)
        listener.on(COUNTS_TOPIC, self._forget)
        listener.on(STOP_TOPIC, self._forget_all)

    def add(self, read: ReadCounts) -> None:
        """Adds the counts of another feature's rooms."""
        self._readers.append(read)

    async def count(self, connection_id: UUID) -> RoomCounts:
        return await self._known.get(connection_id) or {}

    async def _load(self, connection_id: UUID) -> RoomCounts:
        async with self._database.read_only() as session:
            return await self.read(session, connection_id)

    async def read(self, session: ReadSession, connection_id: UUID) -> RoomCounts:
        """Without the cache, with what the session has written."""
        found = [await read(session, connection_id) for read in self._readers]
        return {room: counts for one in found for room, counts in one.items()}

    def _forget_all(self, _: str) -> None:
        """A stop names the agent or its connection; it is rare."""
        self._known.clear()

    def _forget(self, payload: str) -> None:
        if not payload:
            self._known.clear()
        for connection_id in parse_notice(payload):
            self._known.drop(connection_id)


async def _read_counts(session: ReadSession, connection_id: UUID) -> RoomCounts:
    return describe_counts(await count_rooms(session, connection_id, most=MAX_COUNTED))


def describe_counts(counts: Row[Any]) -> RoomCounts:
    """Returns the counts by room, without those that are zero."""
    by_room = {
        "/sessions": (RoomCount(counts.active, "running now", "live"), RoomCount(counts.frozen, "frozen", "frozen")),
        "/refusals": (RoomCount(counts.blocked, "in the last 24 hours", "urgent"),),
        "/agents": (RoomCount(counts.agents, "in use"), RoomCount(counts.frozen_agents, "frozen", "frozen")),
    }
    return {room: shown for room, all_counts in by_room.items() if (shown := [one for one in all_counts if one.number])}
