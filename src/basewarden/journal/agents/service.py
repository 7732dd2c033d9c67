"""Reads what agents did, what was refused, and who stopped or released them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from basewarden.connections import (
    AgentCounts,
    AgentHistory,
    AgentIntervention,
    AgentRefusal,
    AgentRefusalCount,
    AgentSession,
    AgentUndone,
)
from basewarden.db import ReadSession
from basewarden.journal.agents import queries
from basewarden.journal.interventions import (
    describe_intervention,
    describe_reason,
    list_agent_interventions,
    name_intervener,
)
from basewarden.journal.models import JournalIntervention, JournalRefusal
from basewarden.journal.refusals import REFUSAL_WORDS, describe_refused, explain_refusal
from basewarden.journal.refusals.queries import count_by_code
from basewarden.journal.sessions.queries import summarise_sessions
from basewarden.journal.sessions.summary import SessionSummary

SESSIONS_SHOWN = 8
REFUSALS_SHOWN = 8
HOURS_SHOWN = 24
INTERVENTIONS_SHOWN = 8
_HOUR = timedelta(hours=1)


async def count_agent_activity(
    db: ReadSession, connection_id: UUID, agents: Sequence[UUID], since: datetime
) -> Mapping[UUID, AgentCounts]:
    sessions = await queries.count_sessions(db, connection_id, agents, since)
    blocked = await queries.count_refusals(db, agents, since)
    last_writes = await queries.list_last_writes(db, connection_id, agents)
    counts = {}
    for agent_id in agents:
        count, running = sessions.get(agent_id, (0, 0))
        counts[agent_id] = AgentCounts(count, blocked.get(agent_id, 0), running, last_writes.get(agent_id))
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
    interventions = await list_agent_interventions(db, connection_id, agent_id, limit=INTERVENTIONS_SHOWN)
    reasons = await count_by_code(db, connection_id, agent_id)
    blocked = await queries.count_refusals_by_hour(db, agent_id, hours[0])
    return AgentHistory(
        sessions=[_show_session(one) for one in await summarise_sessions(db, sessions)],
        refusals=[_show_refusal(one) for one in refusals],
        reasons=[AgentRefusalCount(REFUSAL_WORDS.get(code, code), code, day, week) for code, day, week in reasons],
        interventions=[_show_intervention(one) for one in interventions],
        rows_by_hour=rows[agent_id],
        blocked_by_hour=[blocked.get(hour, 0) for hour in hours],
    )


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
        is_frozen=summary.status == "frozen" and session.frozen_at is not None,
        undone=AgentUndone(undone.undone, undone.total, undone.left, undone.is_all_kept) if undone else None,
    )


def _show_refusal(refusal: JournalRefusal) -> AgentRefusal:
    reason = explain_refusal(refusal)
    return AgentRefusal(
        refusal.at, describe_refused(refusal), refusal.summary, reason, refusal.code, refusal.count, refusal.session_id
    )


def _show_intervention(one: JournalIntervention) -> AgentIntervention:
    return AgentIntervention(
        one.at,
        name_intervener(one),
        describe_intervention(one),
        describe_reason(one),
        one.action,
        one.session_id,
        one.user_id,
    )
