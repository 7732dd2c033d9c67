"""The SQL of the sidebar's counts: one statement that reads a bounded number of rows by index."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal.sessions.states import RUNNING_WITHIN
from basewarden.journal.sessions.stops.queries import COUNT_FROZEN, IS_ACTIVE

BLOCKED_WITHIN = timedelta(days=1)
COUNT = f"""
    SELECT
        (SELECT count(*) FROM (
            SELECT 1 FROM journal_sessions WHERE connection_id = :id
                AND {IS_ACTIVE.format(within=":running_within")} LIMIT :most) AS s) AS active,
        ({COUNT_FROZEN}) AS frozen,
        (SELECT coalesce(sum(r.count), 0)::bigint FROM (
            SELECT count FROM journal_refusals WHERE connection_id = :id AND at > now() - :blocked_within
            ORDER BY at DESC LIMIT :most) AS r) AS blocked,
        (SELECT count(*) FROM (
            SELECT 1 FROM agents WHERE connection_id = :id AND revoked_at IS NULL LIMIT :most) AS a) AS agents,
        (SELECT count(*) FROM (
            SELECT 1 FROM agents WHERE connection_id = :id AND revoked_at IS NULL AND (frozen_at IS NOT NULL
                OR EXISTS (SELECT FROM connections AS c WHERE c.id = :id AND c.agents_frozen_at IS NOT NULL))
            LIMIT :most) AS a) AS frozen_agents
"""


async def count_rooms(session: AsyncSession, connection_id: UUID, *, most: int) -> Row[Any]:
    """Counts sessions and agents, the frozen ones too, and what was blocked in a day; each in at most `most` rows."""
    values = {"running_within": RUNNING_WITHIN, "blocked_within": BLOCKED_WITHIN}
    return (await session.execute(text(COUNT), {"id": connection_id, "most": most, **values})).one()
