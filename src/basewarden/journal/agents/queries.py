"""All SQL about single agents. Sessions are found by the caller key, refusals by agent and hour; both are indexed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal.models import JournalRefusal, JournalSession, JournalWrite
from basewarden.journal.sessions.stops.queries import has_status

_CAPTURES = ("", ":representation")
_LAST_WRITES = text("""
    SELECT callers.agent_id, max(last.at) AS last_write_at
      FROM unnest(CAST(:agents AS uuid[]), CAST(:keys AS text[])) AS callers (agent_id, caller_key)
     CROSS JOIN LATERAL (
           SELECT s.last_seen_at AS at FROM journal_sessions s
            WHERE s.connection_id = :connection_id AND s.caller_key = callers.caller_key AND s.write_count > 0
            ORDER BY s.last_seen_at DESC LIMIT 1) AS last
     GROUP BY callers.agent_id
""")
"""One step in the index for each caller, however many sessions it has had."""


async def list_last_sessions(
    session: AsyncSession, connection_id: UUID, agent_id: UUID, *, limit: int
) -> list[JournalSession]:
    """Lists the sessions of an agent, those written to last first."""
    found: list[JournalSession] = []
    for key in _list_keys([agent_id]):  # one at a time: each is read in the order of the index
        query = select(JournalSession).where(_is_of(connection_id, [key]))
        found += await session.scalars(query.order_by(JournalSession.last_seen_at.desc()).limit(limit))
    return sorted(found, key=lambda one: one.last_seen_at, reverse=True)[:limit]


async def count_sessions(
    session: AsyncSession, connection_id: UUID, agents: Sequence[UUID], since: datetime
) -> dict[UUID, tuple[int, int]]:
    """Counts the sessions of each agent that were written to since then, and those of them that are active."""
    query = (
        select(JournalSession.agent_id, func.count(), func.count().filter(has_status("active")))
        .where(_is_of(connection_id, _list_keys(agents)), JournalSession.last_seen_at >= since)
        .group_by(JournalSession.agent_id)
    )
    return {agent_id: (count, active) for agent_id, count, active in await session.execute(query) if agent_id}


async def list_last_writes(session: AsyncSession, connection_id: UUID, agents: Sequence[UUID]) -> dict[UUID, datetime]:
    """When each agent last wrote; without those that never did."""
    keys = [(agent_id, key) for agent_id in agents for key in _list_keys([agent_id])]
    parameters = {
        "connection_id": connection_id,
        "agents": [agent_id for agent_id, _ in keys],
        "keys": [key for _, key in keys],
    }
    return {row.agent_id: row.last_write_at for row in await session.execute(_LAST_WRITES, parameters)}


async def count_refusals(session: AsyncSession, agents: Sequence[UUID], since: datetime) -> dict[UUID, int]:
    """Counts the refused requests of each agent in the hours since then."""
    query = (
        select(JournalRefusal.agent_id, func.sum(JournalRefusal.count))
        .where(JournalRefusal.agent_id.in_(agents), JournalRefusal.hour >= since)
        .group_by(JournalRefusal.agent_id)
    )
    return {agent_id: int(count) for agent_id, count in await session.execute(query)}


async def list_last_refusals(session: AsyncSession, agent_id: UUID, *, limit: int) -> list[JournalRefusal]:
    query = select(JournalRefusal).where(JournalRefusal.agent_id == agent_id)
    order = (JournalRefusal.hour.desc(), JournalRefusal.at.desc(), JournalRefusal.id.desc())
    return list(await session.scalars(query.order_by(*order).limit(limit)))


async def count_rows_by_hour(
    session: AsyncSession, connection_id: UUID, agents: Sequence[UUID], since: datetime
) -> Mapping[tuple[UUID, datetime], int]:
    """Counts the rows of each agent's committed writes."""
    hour = func.date_trunc("hour", JournalWrite.at)
    query = (
        select(JournalSession.agent_id, hour, func.sum(JournalWrite.mutation_count))
        .join(JournalSession, JournalSession.id == JournalWrite.session_id)
        .where(_is_of(connection_id, _list_keys(agents)), JournalSession.last_seen_at >= since)
        .where(JournalWrite.at >= since, JournalWrite.state == "committed")
        .group_by(JournalSession.agent_id, hour)
    )
    return {(agent_id, at): int(count) for agent_id, at, count in await session.execute(query) if agent_id}


async def count_refusals_by_hour(session: AsyncSession, agent_id: UUID, since: datetime) -> Mapping[datetime, int]:
    query = (
        select(JournalRefusal.hour, func.sum(JournalRefusal.count))
        .where(JournalRefusal.agent_id == agent_id, JournalRefusal.hour >= since)
        .group_by(JournalRefusal.hour)
    )
    return {at: int(count) for at, count in await session.execute(query)}


def _is_of(connection_id: UUID, keys: Sequence[str]) -> ColumnElement[bool]:
    return and_(
        JournalSession.connection_id == connection_id,
        JournalSession.caller_key.in_(keys),
        JournalSession.status != "expired",
    )


def _list_keys(agents: Sequence[UUID]) -> list[str]:
    """Lists the values of `SessionCaller.caller_key` for these agents."""
    return [f"agent:{agent_id}{capture}" for agent_id in agents for capture in _CAPTURES]
