"""Reads the history of a row from the journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from basewarden.connections import Membership
from basewarden.db import ReadSession
from basewarden.journal import JournalMutation, JournalSession, encode_key, list_row_history, split_changed_columns
from basewarden.workspace.table_client import Key
from pgrest import Table

SHOWN = 50


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    at: datetime
    who: str
    kind: str
    session_href: str
    session_name: str
    verb: str
    cause: str | None
    state: str
    before: Mapping[str, str | None] | None
    after: Mapping[str, str | None] | None
    is_agent: bool
    is_you: bool
    """Whether the reader made the change."""
    changes: Sequence[tuple[str, str | None, str | None]]
    derived: Sequence[str]
    undo_href: str | None
    is_undone: bool = False
    """Whether an undo of its session that is in effect covers it."""


async def read_history(db: ReadSession, member: Membership, table: Table, key: Key) -> list[HistoryEntry]:
    """Lists the changes of a row, the newest first."""
    found = await list_row_history(db, member.connection.id, table.schema, table.name, encode_key(key), limit=SHOWN)
    undos = [session for _, session in found if session.undo_of is not None]
    return [
        _show_entry(
            member,
            view.mutation,
            view.state,
            session,
            is_undone=any(_reverts(undo, session, view.mutation) for undo in undos),
        )
        for view, session in found
    ]


def _reverts(undo: JournalSession, session: JournalSession, mutation: JournalMutation) -> bool:
    """Whether this undo, which wrote the row, took back that change."""
    if undo.undo_of != session.id or undo.undo_state != "done" or undo.status == "undone":
        return False
    if undo.started_at < mutation.at:  # the session wrote on after it
        return False
    writes = (undo.receipt or {}).get("writes")
    return not isinstance(writes, list) or str(mutation.write_id) in writes


def _show_entry(
    member: Membership, mutation: JournalMutation, state: str, session: JournalSession, *, is_undone: bool
) -> HistoryEntry:
    before, after = mutation.before_exact, mutation.after_exact
    changes, derived = _list_changes(mutation)
    session_href = f"/c/{member.connection.id}/sessions/{session.id}"
    is_undoable = state == "committed" and session.kind != "undo" and not is_undone
    return HistoryEntry(
        at=mutation.at,
        who=session.caller_name,
        kind=session.kind,
        session_href=session_href,
        session_name=session.label or ("Open undo" if session.kind == "undo" else "Open session"),
        verb=mutation.verb,
        cause=_describe_cause(mutation),
        state=state,
        before=before,
        after=after,
        is_agent=session.kind == "agent",
        is_you=session.user_id == member.person.id,
        changes=changes,
        derived=derived,
        undo_href=f"{session_href}/undo?write={mutation.write_id}" if is_undoable else None,
        is_undone=is_undone,
    )


def _list_changes(
    mutation: JournalMutation,
) -> tuple[Sequence[tuple[str, str | None, str | None]], Sequence[str]]:
    """Lists the columns that an update named with their values, and the names of those that changed with them."""
    before, after = mutation.before_exact, mutation.after_exact
    if before is None or after is None:
        return (), ()
    named, derived = split_changed_columns(before, after, mutation.set_columns if mutation.cause == "request" else None)
    return [(column, before.get(column), after[column]) for column in named], derived


def _describe_cause(mutation: JournalMutation) -> str | None:
    return None if mutation.cause == "request" else f"by {mutation.cause}"
