"""Reads what agents did and what was refused, and freezes the sessions of one of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from basewarden.connections import AgentCounts, AgentHistory, AgentRefusal, AgentSession, AgentUndone
from basewarden.db import Listener, ReadSession, WriteSession
from basewarden.journal.agents import queries
from basewarden.journal.freezing import freeze_session
from basewarden.journal.models import JournalRefusal
from basewarden.journal.sessions.queries import summarise_sessions
from basewarden.journal.sessions.states import ACTIVE_WITHIN
from basewarden.journal.sessions.summary import SessionSummary
from basewarden.journal.timeline import REFUSAL_WORDS, describe_refused

SESSIONS_SHOWN = 8
REFUSALS_SHOWN = 8
HOURS_SHOWN = 24
MAX_FROZEN = 500
_HOUR = timedelta(hours=1)


async def count_agent_activity(
    db: ReadSession, connection_id: UUID, agents: Sequence[UUID], since: datetime
) -> Mapping[UUID, AgentCounts]:
    active_since = datetime.now(UTC) - ACTIVE_WITHIN
    sessions = await queries.count_sessions(db, connection_id, agents, since, active_since)
    blocked = await queries.count_refusals(db, agents, since)
    counts = {}
    for agent_id in agents:
        count, running = sessions.get(agent_id, (0, 0))
        counts[agent_id] = AgentCounts(count, blocked.get(agent_id, 0), running)
    return counts


async def list_agent_rows(db: ReadSession, connection_id: UUID, agents: Sequence[UUID]) -> Mapping[UUID, Sequence[int]]:
    hours = _list_hours()
    rows = await queries.count_rows_by_hour(db, connection_id, agents, hours[0])
    return {agent_id: [rows.get((agent_id, hour), 0) for hour in hours] for agent_id in agents}


async def read_agent_history(db: ReadSession, connection_id: UUID, agent_id: UUID) -> AgentHistory:
    """Reads the last sessions and refusals of an agent, and its counts by hour."""
    sessions = await queries.list_last_sessions(db, connection_id, agent_id, limit=SESSIONS_SHOWN)
    refusals = await queries.list_last_refusals(db, agent_id, limit=REFUSALS_SHOWN)
    hours = _list_hours()
    rows = await list_agent_rows(db, connection_id, [agent_id])
    blocked = await queries.count_refusals_by_hour(db, agent_id, hours[0])
    return AgentHistory(
        sessions=[_show_session(one) for one in await summarise_sessions(db, sessions)],
        refusals=[_show_refusal(one) for one in refusals],
        rows_by_hour=rows[agent_id],
        blocked_by_hour=[blocked.get(hour, 0) for hour in hours],
    )


async def freeze_agent_sessions(listener: Listener, db: WriteSession, connection_id: UUID, agent_id: UUID) -> int:
    """Freezes the sessions that an agent is writing to, and returns how many; the agent can begin new ones."""
    since = datetime.now(UTC) - ACTIVE_WITHIN
    active = await queries.list_active_sessions(db, connection_id, agent_id, since=since, limit=MAX_FROZEN)
    for session_id in active:
        await freeze_session(db, listener, connection_id, str(session_id))
    return len(active)


def _list_hours() -> list[datetime]:
    """Lists the beginnings of the last hours, the oldest first."""
    this_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return [this_hour - _HOUR * back for back in reversed(range(HOURS_SHOWN))]


def _show_session(summary: SessionSummary) -> AgentSession:
    session, undone = summary.session, summary.undone
    return AgentSession(
        id=session.id,
        title=summary.title,
        status=summary.status,
        last_seen_at=session.last_seen_at,
        writes=summary.writes,
        rows=summary.rows,
        blocked=summary.refused_count,
        budget_used=session.write_count - session.budget_from,
        state=summary.state,
        is_undoable=summary.is_undoable,
        undone=AgentUndone(undone.undone, undone.total, undone.left, undone.is_all_kept) if undone else None,
    )


def _show_refusal(refusal: JournalRefusal) -> AgentRefusal:
    reason = REFUSAL_WORDS.get(refusal.code, refusal.code)
    return AgentRefusal(
        refusal.at, describe_refused(refusal), refusal.summary, reason, refusal.code, refusal.count, refusal.session_id
    )
