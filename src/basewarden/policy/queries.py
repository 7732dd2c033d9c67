"""All SQL about the rows that agents read, and the end of all counts."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession, delete_some, in_batches
from basewarden.policy.models import AgentUse
from basewarden.policy.usage import HourOfUse

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('agent use ' || CAST(:agent AS text), 0))"
_READ = """
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now, extract(epoch FROM u.minute)::float8 AS began,
        coalesce(u.rows_read, 0) AS used
    FROM (VALUES (1)) AS one LEFT JOIN agent_use AS u
        ON u.agent_id = :agent AND u.minute >= date_trunc('minute', clock_timestamp()) - interval '1 hour'
    ORDER BY u.minute
"""
_ADD = """
    INSERT INTO agent_use AS u (agent_id, minute, rows_read)
    VALUES (:agent, date_trunc('minute', clock_timestamp()), :rows)
    ON CONFLICT (agent_id, minute) DO UPDATE SET rows_read = u.rows_read + excluded.rows_read
"""


async def lock_use(session: WriteSession, agent_id: UUID) -> None:
    await session.execute(text(_LOCK), {"agent": str(agent_id)})


async def read_hour(session: AsyncSession, agent_id: UUID) -> HourOfUse:
    rows = (await session.execute(text(_READ), {"agent": agent_id})).all()
    return HourOfUse(rows[0].now, [(row.began, row.used) for row in rows if row.began is not None])


async def add_read_rows(session: WriteSession, agent_id: UUID, rows: int) -> None:
    await session.execute(text(_ADD), {"agent": agent_id, "rows": rows})


async def _delete_old(session: WriteSession, keep: timedelta, limit: int) -> int:
    return await delete_some(session, AgentUse, AgentUse.minute < func.now() - keep, limit)


prune_use = in_batches(_delete_old)
