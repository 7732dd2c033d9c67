"""The rows in conflict with an undo as its pages show them: three values, who wrote the row last, and why it is one."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.core.row_labels import find_label
from basewarden.db import ReadSession
from basewarden.journal import encode_key, list_row_history, list_session_rows
from basewarden.undo.diff_view import make_table_id
from basewarden.undo.planning.samples import MAX_LABEL, MAX_VALUE, show_short_key
from basewarden.undo.queries import count_newer_edits
from basewarden.undo.receipt import BroughtBackColumns, RowConflict
from basewarden.undo.session_name import describe_session

CONFLICTS_COUNTED = 2_000
NEWER_SHOWN = 2
_MOST_CHANGES = 10
"""Of one row by one session, so that its columns are known; of rows with more, all columns are shown."""
_IS_SAID_BY_VALUES = re.compile(r"The columns? .* (?:was|were) changed after the session's write\.", re.DOTALL)
_IS_GONE = "The row no longer exists"
Names = Mapping[tuple[tuple[str, str], tuple[str, ...]], str]


@dataclass(frozen=True, slots=True)
class LastWriter:
    """Who wrote the row last, if the journal knows; None: outside Basewarden."""

    name: str | None
    at: datetime | None = None
    session_href: str | None = None
    is_deletion: bool = False


@dataclass(frozen=True, slots=True)
class ConflictValue:
    column: str
    before: str | None
    written: str | None
    now: str | None
    is_known: bool = True
    """Whether it is recorded what the row has now."""
    undone_by: UUID | None = None
    """The session that wrote the earlier value, where that is undone."""


@dataclass(frozen=True, slots=True)
class ConflictView:
    """`key` is shown beside the name, "" where it is the name; `reason` is "" where the values say it.

    `columns` are those whose values are not known, `derived` those that triggers had set, which are not shown.
    `id` is None where the row cannot be restored; `is_restored`: it is chosen; `deletes`: restoring deletes it.
    """

    table: str
    name: str
    key: str
    href: str | None
    reason: str
    values: tuple[ConflictValue, ...]
    writer: LastWriter | None
    id: str | None
    is_restored: bool
    deletes: bool
    table_id: str = ""
    columns: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewerSession:
    """Another session that wrote `count` of the rows in conflict last; `can_restore`: over what it wrote."""

    id: UUID
    name: str
    caller: str
    count: int
    can_restore: bool


async def describe_conflicts(
    db: ReadSession,
    connection_id: UUID,
    session_id: UUID,
    conflicts: Sequence[RowConflict],
    names: Names,
    chosen: Collection[str | None],
    brought_back: BroughtBackColumns,
) -> tuple[ConflictView, ...]:
    """`chosen` are the ids of conflicts that are settled by restoring the row."""
    named = await _find_named_columns(db, session_id, conflicts)
    return tuple(
        [
            _mark_undone(
                await _describe_conflict(
                    db, connection_id, session_id, conflict, names, chosen, named.get(_find_place(conflict))
                ),
                brought_back.get(((conflict.schema, conflict.table), conflict.key), {}),
            )
            for conflict in conflicts
        ]
    )


def _mark_undone(view: ConflictView, undone: Mapping[str, UUID]) -> ConflictView:
    """Marks the earlier values that a session wrote which is undone."""
    if not undone:
        return view
    return replace(view, values=tuple(replace(one, undone_by=undone.get(one.column)) for one in view.values))


_Place = tuple[str, str, tuple[str, ...]]


def _find_place(conflict: RowConflict) -> _Place:
    return conflict.schema, conflict.table, conflict.key


async def _find_named_columns(
    db: ReadSession, session_id: UUID, conflicts: Sequence[RowConflict]
) -> dict[_Place, frozenset[str]]:
    """The columns that the session's writes named, of the rows of which this is known."""
    by_table: dict[tuple[str, str], dict[str, _Place]] = {}
    for conflict in conflicts:
        if conflict.key:
            place = _find_place(conflict)
            by_table.setdefault((conflict.schema, conflict.table), {})[encode_key(conflict.key)] = place
    found: dict[_Place, frozenset[str]] = {}
    for table, keys in by_table.items():
        limit = _MOST_CHANGES * len(keys)
        changes = await list_session_rows(db, session_id, limit=limit, table=table, row_keys=list(keys))
        unknown = {change.row_key for change in changes if change.set_columns is None or change.verb != "update"}
        for change in changes if len(changes) < limit else ():
            if change.row_key not in unknown:
                place = keys[change.row_key]
                found[place] = found.get(place, frozenset()) | frozenset(change.set_columns or ())
    return found


async def list_newer_sessions(
    db: ReadSession, connection_id: UUID, session_id: UUID, conflicts: Sequence[RowConflict]
) -> tuple[NewerSession, ...]:
    """The sessions that hold several of the newer values: first those whose rows a person can choose to restore.

    Where that is not possible, this undo restores the rows once those sessions are undone.
    """
    sessions = []
    for can_restore in (True, False):
        some = (one for one in conflicts if one.key and (one.id is not None) == can_restore)
        rows = [(one.schema, one.table, encode_key(one.key)) for one in some][:CONFLICTS_COUNTED]
        found = await count_newer_edits(db, connection_id, session_id, rows, limit=NEWER_SHOWN) if len(rows) > 1 else []
        for newer_id, count in found:
            if count > 1:
                newer = await describe_session(db, connection_id, newer_id)
                sessions.append(NewerSession(newer_id, newer.name, newer.caller, count, can_restore))
    return tuple(sessions)


def find_group(conflict: RowConflict) -> tuple[str, str]:
    table = f"{conflict.schema}.{conflict.table}" if conflict.table else ""
    return table, show_reason(conflict.reason, has_values=bool(conflict.values))


def show_reason(reason: str, *, has_values: bool) -> str:
    """Returns "" where the three values say it."""
    return "" if has_values and _IS_SAID_BY_VALUES.fullmatch(reason) else make_brief(reason, 400)


async def _describe_conflict(
    db: ReadSession,
    connection_id: UUID,
    session_id: UUID,
    conflict: RowConflict,
    names: Names,
    chosen: Collection[str | None],
    named: Collection[str] | None,
) -> ConflictView:
    own = names.get(((conflict.schema, conflict.table), conflict.key))
    own = own or find_label(conflict.image or {}, tuple(conflict.primary_key))
    key = make_brief(", ".join(str(value) for value in conflict.primary_key.values()), MAX_LABEL)
    writer = await _find_last_writer(db, connection_id, session_id, conflict) if conflict.key else None
    is_gone = writer is not None and writer.is_deletion and conflict.reason.startswith(_IS_GONE)
    if writer is not None and writer.is_deletion and not is_gone:
        writer = LastWriter(None)  # the row is there again
    shown = [value for value in conflict.values if named is None or value.name in named] or conflict.values
    if all(value.before is None and value.now is None for value in shown):
        shown = []  # there is no row, before and now
    table, reason = find_group(conflict)
    return ConflictView(
        table=table,
        table_id=make_table_id(conflict.schema, conflict.table),
        name=make_brief(own, MAX_LABEL) if own else key,
        key=show_short_key([key], own or key),
        href=row_path(connection_id, conflict.schema, conflict.table, conflict.key)
        if conflict.key and not is_gone
        else None,
        reason=reason,
        values=tuple(
            ConflictValue(make_brief(value.name), _show(value.before), _show(value.session), _show(value.now))
            for value in shown
        ),
        writer=writer,
        id=conflict.id,
        is_restored=conflict.id is not None and conflict.id in chosen,
        deletes=conflict.deletes,
        derived=tuple(make_brief(value.name) for value in conflict.values if shown and value not in shown),
    )


async def _find_last_writer(
    db: ReadSession, connection_id: UUID, session_id: UUID, conflict: RowConflict
) -> LastWriter | None:
    key = encode_key(conflict.key)
    found = await list_row_history(db, connection_id, conflict.schema, conflict.table, key, limit=1)
    if not found or found[0][1].id == session_id:
        return LastWriter(None)
    view, session = found[0]
    href = f"/c/{connection_id}/sessions/{session.id}"
    return LastWriter(session.caller_name, view.mutation.at, href, view.mutation.verb == "delete")


def _show(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, msgspec.Raw):
        return make_brief(bytes(value).decode(), MAX_VALUE)
    return make_brief(value if isinstance(value, str) else str(value).lower(), MAX_VALUE)
