"""What happened on a connection lately, as rows: sessions and requests that policy blocked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from basewarden.connections import Membership, Role
from basewarden.db import ReadSession
from basewarden.journal import (
    REFUSAL_WORDS,
    JournalRefusal,
    SessionSummary,
    UndoneRows,
    list_latest_refusals,
    list_sessions,
)
from basewarden.web import count_things

SESSIONS_SHOWN = 8
REFUSALS_SHOWN = 4
BLOCKED_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One row: who (`is_you`: the reader), what in words, when, its state, and what the reader can do."""

    key: str
    at: datetime
    who: str
    what: str
    href: str
    note: str
    status: str
    is_agent: bool = True
    is_you: bool = False
    is_blocked: bool = False
    undo_href: str | None = None
    is_redo: bool = False
    freeze_href: str | None = None
    undone: UndoneRows | None = None


async def list_activity(db: ReadSession, member: Membership) -> list[ActivityRow]:
    """Lists the latest sessions and what policy blocked in the last day, the newest first."""
    connection_id = member.connection.id
    sessions = await list_sessions(db, connection_id, limit=SESSIONS_SHOWN)
    since = datetime.now(UTC) - BLOCKED_WITHIN
    refusals = await list_latest_refusals(db, connection_id, since=since, limit=REFUSALS_SHOWN)
    rows = [*(_show_session(one, member) for one in sessions), *(_show_refusal(one, member) for one in refusals)]
    return sorted(rows, key=lambda row: row.at, reverse=True)


def describe_now(rows: Sequence[ActivityRow]) -> str:
    """Says in a sentence or two what is going on."""
    working = list(dict.fromkeys(row.who for row in rows if row.status == "running"))
    frozen = sum(row.status == "frozen" for row in rows)
    sentences = []
    if len(working) == 1:
        sentences.append(f"{working[0]} is working right now.")
    elif working:
        sentences.append(f"{', '.join(working[:-1])} and {working[-1]} are working right now.")
    if frozen:
        sentences.append(f"{frozen} session{' is' if frozen == 1 else 's are'} frozen until an editor releases it.")
    return " ".join(sentences) or ("No agent is working right now." if rows else "Nothing has been written yet.")


def _show_session(summary: SessionSummary, member: Membership) -> ActivityRow:
    session = summary.session
    href = f"/c/{member.connection.id}/sessions/{session.id}"
    status = summary.state
    can_edit = member.role.includes(Role.EDITOR)
    can_undo = can_edit and status != "being undone" and summary.left > 0
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
        undo_href=f"{href}/undo" if can_undo else None,
        is_redo=session.kind == "undo",
        freeze_href=f"{href}/freeze" if can_edit and status == "running" else None,
        undone=summary.undone,
    )


def _show_refusal(refusal: JournalRefusal, member: Membership) -> ActivityRow:
    home = f"/c/{member.connection.id}"
    times = f", {refusal.count:,} times" if refusal.count > 1 else ""
    return ActivityRow(
        key=str(refusal.id),
        at=refusal.at,
        who=refusal.agent_name,
        what=refusal.summary,
        href=f"{home}/refusals?agent={refusal.agent_id}",
        note=f"{REFUSAL_WORDS.get(refusal.code, refusal.code)}{times}",
        status="blocked",
        is_blocked=True,
    )


def _make_note(summary: SessionSummary) -> str:
    rows, writes = summary.mutation_count, summary.writes
    counted = f"{count_things(rows, 'row')} in {count_things(writes, 'write')}"
    return f"{summary.session.label} · {counted}" if summary.session.label else counted


def _describe(summary: SessionSummary) -> str:
    """Returns the session's title as it goes on after a name."""
    return summary.heading[:1].lower() + summary.heading[1:]
