"""All SQL about activity. Each query reads a bounded range of an index."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.core.ids import make_first_id
from basewarden.journal.activity.values import LatestActivity, Progress, RowsWritten
from basewarden.journal.models import JournalRefusal
from basewarden.journal.sessions.stops.queries import IS_ACTIVE, MAY_WRITE

# `age` counts periods back from now: 0 is the current one.
_COUNT_WRITES = """
    WITH newest AS (
        SELECT session_id, at, mutation_count, state FROM journal_writes
        WHERE connection_id = :connection_id AND id >= :first_id ORDER BY id DESC LIMIT :limit)
    SELECT greatest(0, floor(extract(epoch FROM now() - w.at) / :seconds))::int AS age,
           coalesce(sum(w.mutation_count) FILTER (WHERE s.kind <> 'undo'), 0)::bigint AS changed,
           coalesce(sum(w.mutation_count) FILTER (WHERE s.kind = 'undo'), 0)::bigint AS undone,
           (SELECT count(*) FROM newest)::bigint AS read
    FROM newest AS w JOIN journal_sessions AS s ON s.id = w.session_id
    WHERE w.state = 'committed' AND s.status <> 'expired'
    GROUP BY age
"""
_COUNT_REFUSALS = """
    SELECT greatest(0, floor(extract(epoch FROM now() - at) / :seconds))::int AS age, sum(count)::bigint AS blocked
    FROM journal_refusals WHERE connection_id = :connection_id AND at >= :since
    GROUP BY age
"""
_WITHIN = "CAST(:within AS interval)"
_COUNT_ACTIVE = f"""
    SELECT count(*) FROM (
        SELECT FROM journal_sessions
        WHERE connection_id = :connection_id AND {IS_ACTIVE.format(within=_WITHIN)} LIMIT 1000) AS active
"""
_LATEST = f"""
    SELECT wanted.id, latest.last_seen_at, latest.caller_name, latest.kind,
           coalesce(latest.last_seen_at > now() - CAST(:within AS interval) AND latest.status = 'open'
                    AND latest.frozen_at IS NULL AND {MAY_WRITE.format(agent="latest.agent_id")}, false) AS is_active,
           (SELECT count(*) FROM journal_sessions AS s
            WHERE s.connection_id = wanted.id AND s.frozen_at IS NOT NULL AND s.status = 'open') AS frozen,
           (SELECT coalesce(sum(r.count), 0)::bigint FROM journal_refusals AS r
            WHERE r.connection_id = wanted.id AND r.at >= :since) AS blocked
    FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
    LEFT JOIN LATERAL (
        SELECT s.last_seen_at, s.caller_name, s.kind, s.agent_id, s.status, s.frozen_at FROM journal_sessions AS s
        WHERE s.connection_id = wanted.id AND s.status <> 'expired'
        ORDER BY s.last_seen_at DESC LIMIT 1) AS latest ON true
"""
_COUNT_ROWS = """
    SELECT wanted.id,
           coalesce(sum(w.mutation_count) FILTER (
               WHERE w.state = 'committed' AND s.kind <> 'undo' AND s.status <> 'expired'), 0)::bigint AS rows,
           count(w.state) AS writes
    FROM unnest(CAST(:ids AS uuid[])) AS wanted(id)
    LEFT JOIN LATERAL (
        SELECT session_id, mutation_count, state FROM journal_writes AS one
        WHERE one.connection_id = wanted.id AND one.id >= :first_id ORDER BY one.id DESC LIMIT :limit) AS w ON true
    LEFT JOIN journal_sessions AS s ON s.id = w.session_id
    GROUP BY wanted.id
"""
_PROGRESS = """
    SELECT (SELECT id FROM journal_sessions WHERE connection_id = :id AND kind = 'agent' AND status <> 'expired'
            ORDER BY last_seen_at DESC LIMIT 1) AS agent_session_id,
           EXISTS (SELECT FROM journal_sessions
                   WHERE connection_id = :id AND kind = 'undo' AND undo_state = 'done') AS has_undo
"""


async def count_writes(
    session: AsyncSession, connection_id: UUID, *, since: datetime, period: timedelta, limit: int
) -> Sequence[Row[Any]]:
    """Counts committed rows by the age of their write in periods; reads at most the newest `limit` writes."""
    values = {
        "connection_id": connection_id,
        "first_id": make_first_id(since),
        "seconds": period.total_seconds(),
        "limit": limit,
    }
    return (await session.execute(text(_COUNT_WRITES), values)).all()


async def count_refusals(
    session: AsyncSession, connection_id: UUID, *, since: datetime, period: timedelta
) -> Sequence[Row[Any]]:
    values = {"connection_id": connection_id, "since": since, "seconds": period.total_seconds()}
    return (await session.execute(text(_COUNT_REFUSALS), values)).all()


async def count_active_sessions(session: AsyncSession, connection_id: UUID, within: timedelta) -> int:
    """Counts sessions of agents that wrote within this time and may go on, up to 1000."""
    return await session.scalar(text(_COUNT_ACTIVE), {"connection_id": connection_id, "within": within}) or 0


async def list_latest_activity(
    session: AsyncSession, connection_ids: Sequence[UUID], *, since: datetime, within: timedelta
) -> dict[UUID, LatestActivity]:
    """Returns the last activity of each connection; refusals are counted since `since`."""
    values = {"ids": list(connection_ids), "since": since, "within": within}
    rows = await session.execute(text(_LATEST), values)
    return {
        row.id: LatestActivity(
            row.last_seen_at, row.caller_name, row.kind == "agent", row.is_active, int(row.frozen), int(row.blocked)
        )
        for row in rows
    }


async def count_rows_written(
    session: AsyncSession, connection_ids: Sequence[UUID], *, since: datetime, limit: int
) -> dict[UUID, RowsWritten]:
    """Counts the rows that were changed on each connection, without undos, by its newest `limit` writes since then."""
    values = {"ids": list(connection_ids), "first_id": make_first_id(since), "limit": limit}
    found = await session.execute(text(_COUNT_ROWS), values)
    return {row.id: RowsWritten(int(row.rows), row.writes >= limit) for row in found}


async def list_latest_refusals(
    session: AsyncSession, connection_id: UUID, *, since: datetime, limit: int
) -> list[JournalRefusal]:
    query = select(JournalRefusal).where(JournalRefusal.connection_id == connection_id, JournalRefusal.at >= since)
    order = (JournalRefusal.at.desc(), JournalRefusal.id.desc())
    return list(await session.scalars(query.order_by(*order).limit(limit)))


async def find_progress(session: AsyncSession, connection_id: UUID) -> Progress:
    row = (await session.execute(text(_PROGRESS), {"id": connection_id})).one()
    return Progress(row.agent_session_id, row.has_undo)
