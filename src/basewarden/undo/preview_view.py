"""Prepares the preview of an undo for its page: conflicts with three values, and the rows of each table."""

from collections.abc import Mapping, Sequence
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
from basewarden.journal import encode_key, find_session, list_row_history
from basewarden.undo.diff_view import DiffTable, show_sample
from basewarden.undo.planning.samples import (
    MAX_LABEL,
    MAX_VALUE,
    ROWS_IN_WINDOW,
    ROWS_SHOWN,
    show_short_key,
    sort_conflicts,
)
from basewarden.undo.queries import count_undo_depth
from basewarden.undo.receipt import Receipt, RowConflict
from basewarden.undo.row_samples import SampleWindow

Names = Mapping[tuple[tuple[str, str], tuple[str, ...]], str]


@dataclass(frozen=True, slots=True)
class SessionName:
    """`is_redo`: the session is an undo, so undoing it means doing it again."""

    title: str
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
    """`key` is shown beside the name, "" where it is the name."""

    table: str
    name: str
    key: str
    href: str | None
    reason: str
    values: tuple[ConflictValue, ...]
    writer: LastWriter | None


@dataclass(frozen=True, slots=True)
class PreviewPage:
    """`free` rows would be restored; `kept` are in conflict and stay.

    `conflicts_before` are the table and reason of the last conflict on the page before, `conflicts_end` is the number
    of the next one.
    """

    free: int
    kept: int
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
    return SessionName(make_brief(found.title, 120), session.caller_name, session.kind, depth % 2 == 1)


async def describe_preview(
    db: ReadSession, connection_id: UUID, session_id: UUID, receipt: Receipt, window: SampleWindow | None
) -> PreviewPage:
    first, count = (0, ROWS_SHOWN) if window is None else (window.start, ROWS_IN_WINDOW)
    listed = sort_conflicts(receipt.conflicts) if window is None or window.is_of_conflicts else []
    conflicts = [
        await _describe_conflict(db, connection_id, session_id, conflict, receipt.names)
        for conflict in listed[first : first + count]
    ]
    before = listed[first - 1] if 0 < first <= len(listed) else None
    tables = receipt.shown
    is_whole = window is None
    return PreviewPage(
        free=max(0, receipt.planned - receipt.already_reverted - len(receipt.conflicts)),
        kept=min(len(receipt.conflicts), receipt.planned),
        conflicts=tuple(conflicts),
        more_conflicts=max(0, len(listed) - first - count),
        conflicts_end=first + len(conflicts),
        conflicts_before=(f"{before.schema}.{before.table}", before.reason) if before is not None else None,
        tables=tuple(show_sample(connection_id, table) for table in tables),
        hidden_tables=len(receipt.tables) - len(tables) if is_whole else 0,
    )


def encode_writes(writes: Sequence[UUID]) -> str:
    """The query of a page about some writes of a session."""
    return f"?{urlencode([('write', str(write)) for write in writes])}" if writes else ""


async def _describe_conflict(
    db: ReadSession, connection_id: UUID, session_id: UUID, conflict: RowConflict, names: Names
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
