"""All SQL about refusals."""

from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.core.ids import make_id
from basewarden.db import WriteSession, stream_by_id
from basewarden.journal.models import JournalRefusal
from basewarden.journal.refusals.values import RefusalCount

RefusalPosition = tuple[datetime, UUID]

# The session is the one that the request would have belonged to, if it exists.
_ADD = """
    INSERT INTO journal_refusals AS r
        (id, connection_id, agent_id, agent_name, session_id, hour, kind_key, code, method, table_name, summary, count,
         row_limit, after_reading, xact)
    VALUES (:id, :connection_id, :agent_id, :agent_name,
        (SELECT s.id FROM journal_sessions AS s
         WHERE s.connection_id = :connection_id AND s.caller_key = ANY(:caller_keys) AND s.status = 'open'
           AND CASE WHEN CAST(:label AS text) IS NULL
                    THEN s.label IS NULL AND s.last_seen_at > now() - make_interval(secs => :burst_seconds)
                    ELSE s.label = :label OR s.id::text = :label END
         ORDER BY s.last_seen_at DESC LIMIT 1),
        :hour, :kind_key, :code, :method, :table_name, :summary, :count,
        :row_limit, CAST(:after_reading AS text[]), CAST(CAST(pg_current_xact_id() AS text) AS bigint))
    ON CONFLICT (agent_id, hour, kind_key) DO UPDATE SET
        count = r.count + excluded.count, at = now(), summary = excluded.summary, xact = excluded.xact,
        after_reading = excluded.after_reading,
        session_id = coalesce(excluded.session_id, r.session_id)
"""


ROWS_COUNTED = 5_000
_COUNT_BY_CODE = """
    SELECT code, coalesce(sum(count) FILTER (WHERE at > now() - interval '1 day'), 0)::bigint AS day,
        sum(count)::bigint AS week
    FROM (SELECT code, count, at FROM journal_refusals
          WHERE connection_id = :connection AND at > now() - interval '7 days'
            AND (CAST(:agent AS uuid) IS NULL OR agent_id = :agent)
          ORDER BY at DESC, id DESC LIMIT :most) AS r
    GROUP BY code ORDER BY week DESC, code
"""


async def list_kind_keys(
    session: AsyncSession, agents: Collection[UUID], hours: Collection[datetime]
) -> dict[tuple[UUID, datetime], set[str]]:
    rows = await session.execute(
        select(JournalRefusal.agent_id, JournalRefusal.hour, JournalRefusal.kind_key).where(
            JournalRefusal.agent_id.in_(agents), JournalRefusal.hour.in_(hours)
        )
    )
    found: dict[tuple[UUID, datetime], set[str]] = {}
    for agent_id, hour, key in rows:
        found.setdefault((agent_id, hour), set()).add(key)
    return found


async def add_refusals(session: WriteSession, counted: RefusalCount, *, burst_seconds: float = 300.0) -> None:
    """Adds a count to the row of its kind and hour, unless the connection was deleted in the meantime."""
    refusal = counted.refusal
    exists = text("SELECT 1 FROM connections WHERE id = :id FOR KEY SHARE")
    if await session.scalar(exists, {"id": refusal.connection_id}) is None:
        return
    caller = f"agent:{refusal.agent_id}"
    await session.execute(
        text(_ADD),
        {
            "id": make_id(),
            "connection_id": refusal.connection_id,
            "agent_id": refusal.agent_id,
            "agent_name": refusal.agent_name,
            "caller_keys": [caller, f"{caller}:representation"],
            "label": refusal.label,
            "burst_seconds": burst_seconds,
            "hour": counted.hour,
            "kind_key": refusal.kind.key,
            "code": refusal.code,
            "method": refusal.method,
            "table_name": refusal.table,
            "summary": refusal.summary,
            "count": counted.count,
            "row_limit": refusal.row_limit,
            "after_reading": list(refusal.after_reading) or None,
        },
    )


async def list_refusals(
    session: AsyncSession,
    connection_id: UUID,
    *,
    limit: int,
    before: RefusalPosition | None = None,
    agent_id: UUID | None = None,
    code: str | None = None,
    since: datetime | None = None,
) -> list[JournalRefusal]:
    """Lists the newest first; `before` is the time and id of the last one on the previous page."""
    query = select(JournalRefusal).where(JournalRefusal.connection_id == connection_id)
    if before is not None:
        query = query.where(tuple_(JournalRefusal.at, JournalRefusal.id) < before)
    if agent_id is not None:
        query = query.where(JournalRefusal.agent_id == agent_id)
    if code is not None:
        query = query.where(JournalRefusal.code == code)
    if since is not None:
        query = query.where(JournalRefusal.at >= since)
    order = (JournalRefusal.at.desc(), JournalRefusal.id.desc())
    return list(await session.scalars(query.order_by(*order).limit(limit)))


async def count_by_code(
    session: AsyncSession, connection_id: UUID, agent_id: UUID | None = None
) -> list[tuple[str, int, int]]:
    """Counts the refused requests of a day and of a week by code, in the newest rows; the most frequent first."""
    values = {"connection": connection_id, "agent": agent_id, "most": ROWS_COUNTED}
    rows = await session.execute(text(_COUNT_BY_CODE), values)
    return [(row.code, row.day, row.week) for row in rows]


async def list_refused_agents(session: AsyncSession, connection_id: UUID) -> list[tuple[UUID, str]]:
    """Lists the agents of the newest refusals, by name; the name is the one of their last refusal."""
    query = select(JournalRefusal.agent_id, JournalRefusal.agent_name)
    newest = query.where(JournalRefusal.connection_id == connection_id)
    newest = newest.order_by(JournalRefusal.at.desc(), JournalRefusal.id.desc()).limit(ROWS_COUNTED)
    names: dict[UUID, str] = {}
    for agent_id, name in await session.execute(newest):
        names.setdefault(agent_id, name)
    return sorted(names.items(), key=lambda one: one[1].casefold())


async def list_session_refusals(session: AsyncSession, session_id: UUID, *, limit: int) -> list[JournalRefusal]:
    """Lists the refusals of a session by the time they last occurred."""
    query = select(JournalRefusal).where(JournalRefusal.session_id == session_id)
    return list(await session.scalars(query.order_by(JournalRefusal.at, JournalRefusal.id).limit(limit)))


def stream_refusals(
    session: AsyncSession, columns: Sequence[str], connections: Collection[UUID]
) -> AsyncGenerator[RowMapping, None]:
    """Streams the refusals of these connections in pages, ordered by id. `columns` must include `id`."""
    table = JournalRefusal.__table__.c
    query = select(*(table[name] for name in columns)).where(table.connection_id.in_(connections))
    return stream_by_id(session, query, table.id)
