"""Counts the rows that agents with a limit by the hour read, before they are answered."""

from uuid import UUID

from basewarden.db import Database
from basewarden.policy import queries
from basewarden.policy.decisions import Refused
from basewarden.policy.usage import HourOfUse


class ReadCounter:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_left(self, agent_id: UUID, limit: int) -> int:
        """How many more rows it may read now. Raises BudgetExceeded where that is none."""
        async with self._database.read_only() as session:
            hour = await queries.read_hour(session, agent_id)
        _require_room(hour, limit, 1)
        return hour.left(limit)

    async def take(self, agent_id: UUID, limit: int, rows: int) -> None:
        """Raises BudgetExceeded where they are too many, and counts none of them then."""
        async with self._database.write_now() as session:
            await queries.lock_use(session, agent_id)
            _require_room(await queries.read_hour(session, agent_id), limit, rows)
            await queries.add_read_rows(session, agent_id, rows)


def _require_room(hour: HourOfUse, limit: int, rows: int) -> None:
    decision = hour.decide(limit, rows)
    if isinstance(decision, Refused):
        raise decision.error
