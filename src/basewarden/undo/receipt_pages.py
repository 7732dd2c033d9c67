"""`/c/<id>/undos/<uid>`: the receipt of an undo."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Membership, Role, Viewer
from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.core.ids import parse_id
from basewarden.core.row_labels import describe_references, find_label
from basewarden.db import ReadSession
from basewarden.errors import NotFound
from basewarden.journal import (
    JournalMutation,
    JournalSession,
    RecordedRow,
    RowNames,
    RowNamesDep,
    count_session_rows,
    encode_key,
    list_row_history,
    list_session_rows,
)
from basewarden.undo import queries
from basewarden.undo.diff_view import DiffTable, find_recorded, show_mutations
from basewarden.undo.overwritten_rows import OverwrittenRow, list_key, list_overwritten
from basewarden.undo.planning.samples import MAX_LABEL, MAX_TABLES, MAX_VALUE, show_short_key
from basewarden.undo.preview_view import SessionName, describe_session, encode_writes
from basewarden.undo.stored_receipt import StoredConflict, StoredReceipt, decode_receipt
from basewarden.web import PagesDep, Reading

CONFLICTS_SHOWN = 50
ROWS_SHOWN = 20
HISTORY_READ = 20
Image = Mapping[str, str | None]
ReferenceNames = Mapping[int, str]
"""Names by the id() of a row's recorded values."""

router = APIRouter(prefix="/c/{connection_id}/undos", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class KeptValue:
    """A column before the session, as the session wrote it, and as it was kept, if that change was recorded."""

    column: str
    before: str | None
    written: str | None
    kept: str | None
    is_recorded: bool


@dataclass(frozen=True, slots=True)
class KeptHistory:
    """A kept row as it was recorded last, and its values where all its changes were read."""

    conflict: StoredConflict
    image: Image
    values: tuple[KeptValue, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row that the undo left as it was, and why; `columns` where their values are not known."""

    table: str
    name: str
    key: str
    href: str | None
    columns: tuple[str, ...]
    values: tuple[KeptValue, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class OverwrittenEdit:
    """A row that was restored over newer values; `href` is None where it was deleted."""

    table: str
    name: str
    key: str
    href: str | None
    values: tuple[tuple[str, str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class UndoReceipt:
    """`is_redo`: what was undone is an undo itself. `undone_by` undid this one. `query` names the undone writes."""

    id: UUID
    caller: str
    at: datetime
    state: str
    status: str
    origin: SessionName
    origin_id: UUID
    is_redo: bool
    query: str
    receipt: StoredReceipt
    tables: tuple[DiffTable, ...]
    hidden_tables: int
    kept: tuple[KeptRow, ...]
    overwritten: tuple[OverwrittenEdit, ...]
    undone_by: UUID | None


@router.get("/{undo_id}")
async def get_receipt(
    request: Request, undo_id: str, member: Viewer, db: Reading, pages: PagesDep, names: RowNamesDep
) -> Response:
    undo = await get_undo_session(db, member.connection.id, undo_id)
    return pages.render(
        request,
        "undo/receipt.html",
        undo=await _read_receipt(db, member, undo, names),
        can_undo=member.role.includes(Role.EDITOR),
    )


async def get_undo_session(db: ReadSession, connection_id: UUID, undo_id: str) -> JournalSession:
    known = parse_id(undo_id)
    undo = await queries.find_undo(db, connection_id, known) if known is not None else None
    if undo is None or undo.undo_of is None:
        raise NotFound("There is no such undo.")
    return undo


async def _read_receipt(db: ReadSession, member: Membership, undo: JournalSession, names: RowNames) -> UndoReceipt:
    assert undo.undo_of is not None  # get_undo_session has checked it
    connection_id = member.connection.id
    receipt = decode_receipt(undo.receipt)
    counts = await count_session_rows(db, undo.id)
    changed = sorted({(schema, table) for schema, table, _ in counts})
    rows = {name: await list_session_rows(db, undo.id, limit=ROWS_SHOWN, table=name) for name in changed[:MAX_TABLES]}
    overwritten = await list_overwritten(db, undo.id, receipt, limit=CONFLICTS_SHOWN)
    kept = [await _read_kept(db, connection_id, undo, one) for one in receipt.conflicts[:CONFLICTS_SHOWN]]
    by_reference = await _read_names(member, names, rows.values(), overwritten, kept)
    newer = await queries.find_effective_undo(db, undo.id) if undo.status != "open" else None
    origin = await describe_session(db, connection_id, undo.undo_of)
    return UndoReceipt(
        id=undo.id,
        caller=undo.caller_name,
        at=undo.started_at,
        state=undo.undo_state or "",
        status=undo.status,
        origin=origin,
        origin_id=undo.undo_of,
        is_redo=origin.is_redo,
        query=encode_writes(receipt.writes),
        receipt=receipt,
        tables=tuple(
            show_mutations(connection_id, name, _list_counts(counts, name), shown, by_reference)
            for name, shown in rows.items()
        ),
        hidden_tables=max(0, len(changed) - MAX_TABLES),
        kept=tuple(_show_kept(connection_id, one, by_reference) for one in kept),
        overwritten=tuple(_show_overwritten(connection_id, one, by_reference) for one in overwritten),
        undone_by=newer.id if newer is not None else None,
    )


def _list_counts(counts: Mapping[tuple[str, str, str], int], name: tuple[str, str]) -> tuple[int, int, int]:
    return (counts.get((*name, "insert"), 0), counts.get((*name, "update"), 0), counts.get((*name, "delete"), 0))


async def _read_names(
    member: Membership,
    names: RowNames,
    tables: Iterable[Sequence[JournalMutation]],
    overwritten: Iterable[OverwrittenRow],
    kept: Iterable[KeptHistory],
) -> ReferenceNames:
    """Names the rows without a name of their own by the rows that they refer to."""
    images = [find_recorded(row) for rows in tables for row in rows]
    images += [find_recorded(row.mutation) for row in overwritten]
    images += [RecordedRow(one.conflict.schema, one.conflict.table, one.image) for one in kept]
    unnamed = [image for image in images if find_label(image.values) is None]
    found = await names.read(member, unnamed)
    return {id(image.values): name for image, name in zip(unnamed, found, strict=True) if name is not None}


def _show_overwritten(connection_id: UUID, row: OverwrittenRow, names: ReferenceNames) -> OverwrittenEdit:
    conflict, is_deleted = row.conflict, row.mutation.verb == "delete"
    key = list_key(conflict)
    name = _name_row(conflict, find_recorded(row.mutation).values, names)
    return OverwrittenEdit(
        table=_name_table(conflict),
        name=name,
        key=show_short_key(key, name),
        href=row_path(connection_id, conflict.schema, conflict.table, key) if key and not is_deleted else None,
        values=tuple(
            (make_brief(column, MAX_LABEL), _shorten(newer), _shorten(restored))
            for column, newer, restored in row.values
        ),
    )


def _shorten(value: str | None) -> str | None:
    return None if value is None else make_brief(value, MAX_VALUE)


def _name_table(conflict: StoredConflict) -> str:
    return conflict.table if conflict.schema == "public" else f"{conflict.schema}.{conflict.table}"


def _name_row(conflict: StoredConflict, image: Image, names: ReferenceNames) -> str:
    columns = tuple(conflict.primary_key)
    name = find_label(image, columns) or names.get(id(image)) or describe_references(image, columns)
    return name or make_brief(", ".join(list_key(conflict)), MAX_LABEL)


async def _read_kept(
    db: ReadSession, connection_id: UUID, undo: JournalSession, conflict: StoredConflict
) -> KeptHistory:
    """Reads the recorded changes of a kept row before the undo. Values are known only if none is left out."""
    key = encode_key(list_key(conflict))
    found = await list_row_history(db, connection_id, conflict.schema, conflict.table, key, limit=HISTORY_READ)
    image = (found[0][0].mutation.after_exact or found[0][0].mutation.before_exact or {}) if found else {}
    before = [(view.mutation, session.id) for view, session in found if view.mutation.at < undo.started_at]
    own = [mutation for mutation, session_id in before if session_id == undo.undo_of]
    if not own or len(found) == HISTORY_READ or any(view.state != "committed" for view, _ in found):
        return KeptHistory(conflict, image)
    is_recorded = before[0][1] != undo.undo_of
    values = tuple(
        KeptValue(
            make_brief(column),
            _shorten((own[-1].before_exact or {}).get(column)),
            _shorten((own[0].after_exact or {}).get(column)),
            _shorten((before[0][0].after_exact or {}).get(column)),
            is_recorded,
        )
        for column in _list_columns(conflict)
    )
    return KeptHistory(conflict, image, values)


def _list_columns(conflict: StoredConflict) -> list[str]:
    return [column if isinstance(column, str) else column.name for column in conflict.columns]


def _show_kept(connection_id: UUID, kept: KeptHistory, names: ReferenceNames) -> KeptRow:
    conflict = kept.conflict
    key = list_key(conflict)
    name = _name_row(conflict, kept.image, names)
    return KeptRow(
        table=_name_table(conflict),
        name=name,
        key=show_short_key(key, name),
        href=row_path(connection_id, conflict.schema, conflict.table, key) if key else None,
        columns=tuple(make_brief(column) for column in _list_columns(conflict)) if not kept.values else (),
        values=kept.values,
        reason=make_brief(conflict.reason, 400),
    )
