"""The SQL of stopped agents, and of the sessions that are active or frozen: the rules of `sessions/states.py`."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ColumnElement, Row, and_, func, literal_column, not_, or_, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal.models import JournalSession
from basewarden.journal.sessions.states import ACTIVE_WITHIN, AgentStop

_HAS_ENDED = "(a.revoked_at IS NOT NULL OR coalesce(a.expires_at <= now(), false))"
_WITHIN = f"interval '{ACTIVE_WITHIN.total_seconds():.0f} seconds'"
_STOPPED_AT = "least(a.paused_at, a.frozen_at, c.agents_frozen_at)"
_IS_FROZEN = "coalesce(a.frozen_at, c.agents_frozen_at) IS NOT NULL"
_AGENT = "FROM agents AS a JOIN connections AS c ON c.id = a.connection_id"
MAY_WRITE = f"""NOT EXISTS (SELECT {_AGENT}
    WHERE a.id = {{agent}} AND ({_HAS_ENDED} OR {_STOPPED_AT} IS NOT NULL))"""
"""The condition that an agent is not stopped; `agent` is the column with its id."""
IS_ACTIVE = f"""kind = 'agent' AND status IN ('open', 'held') AND frozen_at IS NULL
    AND last_seen_at > now() - {{within}} AND {MAY_WRITE.format(agent="journal_sessions.agent_id")}"""
"""The condition for active sessions in SQL; `within` is how the query writes ACTIVE_WITHIN."""
COUNT_FROZEN = f"""
    SELECT count(*) FROM (
        (SELECT 1 FROM journal_sessions WHERE connection_id = :id AND frozen_at IS NOT NULL
            AND status IN ('open', 'held') LIMIT :most)
        UNION ALL
        (SELECT 1 {_AGENT} CROSS JOIN LATERAL (
            SELECT FROM journal_sessions AS s
            WHERE s.connection_id = c.id AND s.caller_key IN ('agent:' || a.id, 'agent:' || a.id || '\\:representation')
                AND s.last_seen_at > {_STOPPED_AT} - {_WITHIN}
                AND s.frozen_at IS NULL AND s.status IN ('open', 'held') LIMIT :most) AS s
        WHERE c.id = :id AND {_IS_FROZEN} AND NOT {_HAS_ENDED} LIMIT :most)
        LIMIT :most) AS f"""
"""Counts the frozen sessions of the connection `id` by index, by themselves or with their agent, at most `most`."""
_FROZEN_WITH_AGENT = f"""EXISTS (SELECT {_AGENT} WHERE a.id = journal_sessions.agent_id AND {_IS_FROZEN}
    AND NOT {_HAS_ENDED} AND journal_sessions.last_seen_at > {_STOPPED_AT} - {_WITHIN})"""
_FIND_STOPS = f"""
    SELECT a.id, {_HAS_ENDED} AS has_ended, {_IS_FROZEN} AS is_frozen, {_STOPPED_AT} AS at,
        c.agents_frozen_at IS NULL AS is_alone {_AGENT}
    WHERE a.id = ANY(:ids) AND ({_HAS_ENDED} OR {_STOPPED_AT} IS NOT NULL)
"""


async def find_agent_stops(session: AsyncSession, found: Iterable[JournalSession]) -> Mapping[UUID, AgentStop]:
    """Finds which of the agents of these sessions are stopped."""
    ids = {one.agent_id for one in found if one.agent_id is not None}
    if not ids:
        return {}
    rows = await session.execute(text(_FIND_STOPS), {"ids": list(ids)})
    return {row.id: _read_stop(row) for row in rows}


def _read_stop(row: Row[Any]) -> AgentStop:
    if row.has_ended:
        return AgentStop("ended")
    return AgentStop("frozen" if row.is_frozen else "paused", row.at, row.is_alone)


def has_status(status: str) -> ColumnElement[bool]:
    """Returns the condition for a status of the API; the column itself holds only the statuses that an undo sets."""
    is_open = JournalSession.status.in_(("open", "held"))
    is_free = JournalSession.frozen_at.is_(None)
    is_recent = and_(JournalSession.kind == "agent", JournalSession.last_seen_at > func.now() - ACTIVE_WITHIN)
    is_running = and_(is_recent, literal_column(MAY_WRITE.format(agent="journal_sessions.agent_id"), Boolean))
    is_frozen_with_agent = literal_column(_FROZEN_WITH_AGENT, Boolean)
    match status:
        case "frozen":
            return and_(is_open, or_(not_(is_free), is_frozen_with_agent))
        case "active":
            return and_(is_open, is_free, is_running)
        case "ended":
            return and_(is_open, is_free, not_(is_frozen_with_agent), not_(is_running))
        case _:
            return JournalSession.status == status
