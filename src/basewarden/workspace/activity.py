"""What happened on a connection lately, as rows: sessions, requests that policy blocked, stops and releases."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from basewarden.connections import Membership, Role
from basewarden.db import ReadSession
from basewarden.journal import (
    JournalIntervention,
    JournalRefusal,
    SessionSummary,
    UndoneRows,
    describe_intervention,
    describe_refused,
    explain_refusal,
    list_interventions,
    list_latest_refusals,
    list_sessions,
    name_intervener,
)
from basewarden.web import count_things

SESSIONS_SHOWN = 12
REFUSALS_SHOWN = 4
INTERVENTIONS_SHOWN = 4
BLOCKED_WITHIN = timedelta(days=1)
UNUSUAL_WITHIN = timedelta(days=1)
UNUSUAL_ROWS = 500
UNUSUAL_DELETES = 50
ATTENTION_SHOWN = 3
ROWS_SHOWN = 10
_AGES = (("Last 24 hours", timedelta(days=1)), ("Last 7 days", timedelta(days=7)))


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One row: who (`is_you`: the reader), what in words, when, its state, and what the reader can do.

    `is_frozen`: the session itself, not only its agent.
    """

    key: str
    at: datetime
    who: str
    what: str
    href: str
    note: str
    status: str
    request: str = ""
    is_agent: bool = True
    is_you: bool = False
    is_blocked: bool = False
    is_frozen: bool = False
    undo_href: str | None = None
    is_redo: bool = False
    undone: UndoneRows | None = None
    rows: int = 0
    deleted: int = 0

    @property
    def is_unusual(self) -> bool:
        """True for an agent's session of the last day with many rows, of which most are not undone."""
        is_open = self.is_agent and not self.is_redo and self.status not in ("undone", "being undone", "blocked")
        is_handled = self.undone is not None and self.undone.undone >= self.undone.left
        is_large = self.rows >= UNUSUAL_ROWS or self.deleted >= UNUSUAL_DELETES
        return is_open and is_large and not is_handled and self.at > datetime.now(UTC) - UNUSUAL_WITHIN


@dataclass(frozen=True, slots=True)
class ActivityGroup:
    """Rows of about the same age, the newest first."""

    title: str
    rows: list[ActivityRow]


async def list_activity(db: ReadSession, member: Membership) -> list[ActivityRow]:
    """Lists the latest sessions, and what policy blocked and members stopped in the last day, the newest first."""
    connection_id = member.connection.id
    sessions = await list_sessions(db, connection_id, limit=SESSIONS_SHOWN)
    since = datetime.now(UTC) - BLOCKED_WITHIN
    refusals = await list_latest_refusals(db, connection_id, since=since, limit=REFUSALS_SHOWN)
    interventions = await list_interventions(db, connection_id, since=since, limit=INTERVENTIONS_SHOWN)
    rows = [
        *(_show_session(one, member) for one in sessions),
        *(_show_refusal(one, member) for one in refusals),
        *(_show_intervention(one, member) for one in interventions),
    ]
    return sorted(rows, key=lambda row: row.at, reverse=True)


def group_by_age(rows: Sequence[ActivityRow]) -> list[ActivityGroup]:
    """Groups rows, the newest first, by their age, for which no time zone is needed."""
    now = datetime.now(UTC)
    return [ActivityGroup(title, list(same)) for title, same in groupby(rows, key=lambda row: _name_age(now - row.at))]


def _name_age(age: timedelta) -> str:
    return next((title for title, limit in _AGES if age < limit), "Earlier")


def list_attention(rows: Sequence[ActivityRow]) -> list[ActivityRow]:
    """Lists the sessions that a person should look at first: those that are frozen, then the largest unusual ones."""
    wanted = [row for row in rows if row.is_frozen or row.is_unusual]
    return sorted(wanted, key=lambda row: (not row.is_frozen, -row.rows))[:ATTENTION_SHOWN]


def describe_now(rows: Sequence[ActivityRow]) -> str:
    """Says who works right now; what waits for a person is listed below it."""
    working = list(dict.fromkeys(row.who for row in rows if row.status == "running"))
    if len(working) == 1:
        return f"{working[0]} is working right now."
    if working:
        return f"{', '.join(working[:-1])} and {working[-1]} are working right now."
    return "No agent is working right now." if rows else "Nothing has been written yet."


def _show_session(summary: SessionSummary, member: Membership) -> ActivityRow:
    session = summary.session
    href = f"/c/{member.connection.id}/sessions/{session.id}"
    status = summary.state
    can_edit = member.role.includes(Role.EDITOR)
    can_undo = can_edit and status != "being undone" and summary.is_undoable
    return ActivityRow(
        key=str(session.id),
        at=session.last_seen_at,
        who=session.caller_name,
        what=_describe(summary),
        href=href,
        note=_make_note(summary),
        status=status,
        is_agent=session.agent_id is not None,
        is_you=session.user_id == member.person.id,
        is_frozen=session.frozen_at is not None and status == "frozen",
        undo_href=f"{href}/undo" if can_undo else None,
        is_redo=session.kind == "undo",
        undone=summary.undone,
        rows=summary.rows,
        deleted=sum(change.rows for change in summary.changes if change.verb == "delete"),
    )


def _show_refusal(refusal: JournalRefusal, member: Membership) -> ActivityRow:
    home = f"/c/{member.connection.id}"
    times = f", {refusal.count:,} times" if refusal.count > 1 else ""
    return ActivityRow(
        key=str(refusal.id),
        at=refusal.at,
        who=refusal.agent_name,
        what=describe_refused(refusal),
        request=refusal.summary,
        href=f"{home}/refusals?agent={refusal.agent_id}",
        note=f"{explain_refusal(refusal)}{times}",
        status="blocked",
        is_blocked=True,
    )


def _show_intervention(intervention: JournalIntervention, member: Membership) -> ActivityRow:
    agents = f"/c/{member.connection.id}/agents"
    href = f"{agents}/{intervention.agent_id}" if intervention.agent_id else agents
    if intervention.session_id is not None:
        href = f"/c/{member.connection.id}/sessions/{intervention.session_id}"
    return ActivityRow(
        key=str(intervention.id),
        at=intervention.at,
        who=name_intervener(intervention),
        what=describe_intervention(intervention),
        href=href,
        note=intervention.reason or "",
        status="",
        is_agent=False,
        is_you=intervention.user_id == member.person.id,
    )


def _make_note(summary: SessionSummary) -> str:
    rows, writes = summary.rows, summary.writes
    counted = f"{count_things(rows, 'row')} in {count_things(writes, 'write')}"
    return f"{summary.session.label} · {counted}" if summary.session.label else counted


def _describe(summary: SessionSummary) -> str:
    """Returns the session's title as it goes on after a name."""
    heading = summary.heading
    if summary.blocked is not None and heading == f"Blocked: {summary.blocked}":
        return f"tried to {summary.blocked}"
    return "changed nothing" if heading == "No changes" else heading[:1].lower() + heading[1:]
