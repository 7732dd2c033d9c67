"""What an agent has read of sensitive columns: stored before it gets their rows, and known to every process."""

from collections.abc import Collection
from uuid import UUID

from basewarden.connections.agents import AGENT_TOPIC
from basewarden.connections.guard import queries
from basewarden.connections.guard.values import ReadColumn
from basewarden.db import Database, Listener


class AgentReads:
    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener

    async def add(self, agent_id: UUID, columns: Collection[ReadColumn]) -> frozenset[ReadColumn]:
        """Stores what an agent is about to read, whatever becomes of its request; returns what is new of it."""
        async with self._database.write_now() as session:
            added = await queries.insert_reads(session, agent_id, columns)
            if added:
                await self._listener.announce(session, AGENT_TOPIC, str(agent_id))
        return added

    async def list(self, agent_id: UUID) -> frozenset[ReadColumn]:
        """Lists them as they are now: another process may have added one that is not announced yet."""
        async with self._database.read_only() as session:
            return frozenset((one.table, one.column) for one in await queries.list_reads(session, agent_id))
