"""Prepares the preview of an undo for its page: conflicts with three values, and the rows of each table."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.core.row_labels import find_label
from basewarden.db import ReadSession
from basewarden.errors import NotFound
from basewarden.journal import describe_writes, encode_key, find_session, list_row_history
from basewarden.undo.diff_view import DiffTable, show_sample
from basewarden.undo.planning.choices import MOST_CHOICES
from basewarden.undo.planning.samples import (
    MAX_LABEL,
    MAX_VALUE,
    ROWS_IN_WINDOW,
    ROWS_SHOWN,
    show_short_key,
    sort_conflicts,
)
from basewarden.undo.queries import count_undo_depth, list_writes
from basewarden.undo.receipt import Receipt, RowConflict, count_rows
from basewarden.undo.row_samples import SampleWindow

MOST_SHOWN = 200
"""Conflicts on one page; a query each."""
Names = Mapping[tuple[tuple[str, str], tuple[str, ...]], str]


@dataclass(frozen=True, slots=True)
class SessionName:
    """`name` is the session's label, or its title; `is_redo`: it is an undo, so undoing it means doing it again."""

    title: str
    name: str
    caller: str
    kind: str
    is_redo: bool


@dataclass(frozen=True, slots=True)
class LastWriter:
    """Who wrote the row last, if the journal knows; None: outside Basewarden."""

    name: str | None
    at: datetime | None = None
    session_href: str | None = None


@dataclass(frozen=True, slots=True)
class ConflictValue:
    column: str
    before: str | None
    written: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class ConflictView:
    """`key` is shown beside the name, "" where it is the name.

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


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """`free` rows would be restored, `chosen` of them over newer values; `kept` are in conflict and stay.

    For `choosable` conflicts there is a choice. `chosen_later` are the ids of chosen ones that are not shown.
    `conflicts_before` are the table and reason of the last conflict on the page before, `conflicts_end` is the number
    of the next one.
    """

    free: int
    kept: int
    chosen: int
    choosable: int
    chosen_later: tuple[str, ...]
    conflicts: tuple[ConflictView, ...]
    more_conflicts: int
    conflicts_end: int
    conflicts_before: tuple[str, str] | None
    tables: tuple[DiffTable, ...]
    hidden_tables: int


async def describe_session(db: ReadSession, connection_id: UUID, session_id: UUID) -> SessionName:
    found = await find_session(db, connection_id, session_id)
    if found is None:
        raise NotFound("There is no such session.")
    session = found.session
    depth = await count_undo_depth(db, session_id) if session.kind == "undo" else 0
    title = make_brief(found.title, 120)
    return SessionName(
        title, make_brief(session.label) if session.label else title, session.caller_name, session.kind, depth % 2 == 1
    )


async def describe_preview(
    db: ReadSession,
    connection_id: UUID,
    session_id: UUID,
    receipt: Receipt,
    window: SampleWindow | None,
    shown: int = ROWS_SHOWN,
) -> PreviewPage:
    """Without a `window`, at least `shown` conflicts are shown."""
    listed = sort_conflicts((*receipt.conflicts, *receipt.overwritten_edits))
    chosen = {edit.id for edit in receipt.overwritten_edits}
    first, count = (0, _count_shown(listed, chosen, shown)) if window is None else (window.start, ROWS_IN_WINDOW)
    choosable = [conflict.id for conflict in listed if conflict.id is not None][:MOST_CHOICES]
    if window is not None and not window.is_of_conflicts:
        listed = []
    conflicts = [
        await _describe_conflict(db, connection_id, session_id, conflict, receipt.names, chosen)
        for conflict in listed[first : first + count]
    ]
    before = listed[first - 1] if 0 < first <= len(listed) else None
    tables = receipt.shown
    is_whole = window is None
    return PreviewPage(
        free=max(0, receipt.planned - receipt.already_reverted - len(receipt.conflicts)),
        kept=min(len(receipt.conflicts), receipt.planned),
        chosen=len(chosen),
        choosable=len(choosable),
        chosen_later=tuple(one.id for one in listed[first + count :] if one.id is not None and one.id in chosen),
        conflicts=tuple(conflicts),
        more_conflicts=max(0, len(listed) - first - count),
        conflicts_end=first + len(conflicts),
        conflicts_before=(f"{before.schema}.{before.table}", before.reason) if before is not None else None,
        tables=tuple(show_sample(connection_id, table) for table in tables),
        hidden_tables=len(receipt.tables) - len(tables) if is_whole else 0,
    )


async def describe_target(db: ReadSession, session_id: UUID, writes: Sequence[UUID], rows: int) -> str:
    """Returns "1 write: added 1 message", or "1 row" of it; "" where the whole session is to be undone."""
    found = await list_writes(db, session_id, writes) if writes else []
    if not found:
        return ""
    text = describe_writes(found)
    if rows:
        return f"{count_rows(rows)} of 1 write"
    count = f"{len(found):,} write{'' if len(found) == 1 else 's'}"
    return f"{count}: {text[0].lower()}{text[1:]}" if text else count


def _count_shown(listed: Sequence[RowConflict], chosen: Collection[str | None], shown: int) -> int:
    """Shows a few chosen rows, so that what was chosen remains in sight."""
    choosable = [place for place, conflict in enumerate(listed) if conflict.id is not None]
    places = [place for place in choosable if listed[place].id in chosen]
    last = places[-1] + 1 if places and len(places) < min(len(choosable), ROWS_IN_WINDOW) else 0
    return min(max(ROWS_SHOWN, shown, last), MOST_SHOWN)


def encode_writes(writes: Sequence[UUID], rows: Sequence[int] = ()) -> str:
    """The query of a page about some writes of a session, or about some rows of one."""
    pairs = [*(("write", str(write)) for write in writes), *(("row", str(row)) for row in rows)]
    return f"?{urlencode(pairs)}" if pairs else ""


async def _describe_conflict(
    db: ReadSession,
    connection_id: UUID,
    session_id: UUID,
    conflict: RowConflict,
    names: Names,
    chosen: Collection[str | None],
) -> ConflictView:
    own = names.get(((conflict.schema, conflict.table), conflict.key))
    own = own or find_label(conflict.image or {}, tuple(conflict.primary_key))
    key = make_brief(", ".join(map(str, conflict.primary_key.values())), MAX_LABEL)
    return ConflictView(
        table=f"{conflict.schema}.{conflict.table}" if conflict.table else "",
        name=make_brief(own, MAX_LABEL) if own else key,
        key=show_short_key([key], own or key),
        href=row_path(connection_id, conflict.schema, conflict.table, conflict.key) if conflict.key else None,
        reason=make_brief(conflict.reason, 400),
        values=tuple(
            ConflictValue(make_brief(value.name), _show(value.before), _show(value.session), _show(value.now))
            for value in conflict.values
        ),
        writer=await _find_last_writer(db, connection_id, session_id, conflict) if conflict.key else None,
        id=conflict.id,
        is_restored=conflict.id is not None and conflict.id in chosen,
        deletes=conflict.deletes,
    )


async def _find_last_writer(
    db: ReadSession, connection_id: UUID, session_id: UUID, conflict: RowConflict
) -> LastWriter | None:
    key = encode_key(conflict.key)
    found = await list_row_history(db, connection_id, conflict.schema, conflict.table, key, limit=1)
    if not found or found[0][1].id == session_id:
        return LastWriter(None)
    view, session = found[0]
    return LastWriter(session.caller_name, view.mutation.at, f"/c/{connection_id}/sessions/{session.id}")


def _show(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, msgspec.Raw):
        return make_brief(bytes(value).decode(), MAX_VALUE)
    return make_brief(value if isinstance(value, str) else str(value).lower(), MAX_VALUE)
