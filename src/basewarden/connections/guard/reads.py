"""What an agent has read of sensitive columns: stored before it gets their rows, and known to every process."""

import asyncio
import time
from collections.abc import Callable, Collection
from uuid import UUID

from basewarden.connections.agents import AGENT_TOPIC
from basewarden.connections.guard import queries
from basewarden.connections.guard.values import ReadColumn
from basewarden.db import Database, Listener

ANNOUNCED_SECONDS = 0.1
"""How long other processes get to hear of what an agent reads for the first time, before it gets the rows."""
_BODIES = 6
"""How many times the limit of a body a request can take: while its body is not read, the limit does not count."""
_MOST_RECENT = 10_000


class AgentReads:
    """Must exist before the listener starts, since it counts what may have been missed from then on.

    `body_seconds` is how long a body may take: a request that was begun before a read may get its body after it.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener,
        *,
        body_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._listener = listener
        self._settled_seconds = _BODIES * body_seconds
        self._clock = clock
        self._changed: dict[UUID, float] = {}
        self._all_changed = float("-inf")
        self._has_begun = False
        listener.on(AGENT_TOPIC, self._note_change)

    async def add(self, agent_id: UUID, columns: Collection[ReadColumn]) -> frozenset[ReadColumn]:
        """Stores what an agent is about to read, whatever becomes of its request; returns what is new of it.

        Where none is, another request has just stored it, and the processes may not have heard of that yet.
        """
        async with self._database.write_now() as session:
            added = await queries.insert_reads(session, agent_id, columns)
            await self._listener.announce(session, AGENT_TOPIC, str(agent_id))
        await asyncio.sleep(ANNOUNCED_SECONDS)
        return added

    def is_settled(self, agent_id: UUID) -> bool:
        """Whether every request that is handled here knows what the agent has read, so that nothing need be asked."""
        changed = max(self._all_changed, self._changed.get(agent_id, float("-inf")))
        return self._listener.is_listening and self._clock() - changed > self._settled_seconds

    async def list(self, agent_id: UUID) -> frozenset[ReadColumn]:
        """Lists them as they are now: another process may have added one that is not announced yet."""
        async with self._database.read_only() as session:
            return frozenset((one.table, one.column) for one in await queries.list_reads(session, agent_id))

    def _note_change(self, payload: str) -> None:
        """An empty payload: announcements may have been missed, but for the first, before which nothing was known."""
        if not payload and not self._has_begun:
            self._has_begun = True
            return
        if not payload or len(self._changed) >= _MOST_RECENT:
            self._changed.clear()
            self._all_changed = self._clock()
        if payload:
            self._changed[UUID(payload)] = self._clock()
