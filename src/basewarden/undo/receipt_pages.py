"""`/c/<id>/undos/<uid>`: the receipt of an undo."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Membership, Role, Viewer
from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.errors import NotFound
from basewarden.journal import (
    JournalMutation,
    JournalSession,
    RecordedRow,
    RowNames,
    RowNamesDep,
    count_session_rows,
    list_session_rows,
)
from basewarden.undo import queries
from basewarden.undo.conflict_view import show_reason
from basewarden.undo.diff_view import (
    CascadedTables,
    DiffTable,
    ImageNames,
    arrange_tables,
    leave_out_schema,
    list_recorded,
    show_mutations,
)
from basewarden.undo.kept_rows import (
    KeptHistory,
    KeptRows,
    name_kept_row,
    read_kept,
    shorten,
    show_kept,
    sort_kept,
)
from basewarden.undo.overwritten_rows import OverwrittenRow, list_key, list_overwritten
from basewarden.undo.planning.samples import MAX_LABEL, MAX_TABLES, show_short_key
from basewarden.undo.session_name import SessionName, describe_session, encode_writes
from basewarden.undo.stored_receipt import StoredConflict, StoredReceipt, decode_receipt
from basewarden.web import PagesDep, Reading

OVERWRITTEN_SHOWN = 50
KEPT_SHOWN = 5
KEPT_IN_WINDOW = 50
ROWS_SHOWN = 10

router = APIRouter(prefix="/c/{connection_id}/undos", include_in_schema=False)


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
    """`is_redo`: what was undone is an undo itself. `undone_by` undid this one. `query` names the undone writes.

    `cascaded` are the tables that the session changed by foreign keys only.
    """

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
    cascaded: CascadedTables | None
    hidden_tables: int
    table_count: int
    is_incremental: bool
    lasting: tuple[str, ...]
    kept: KeptRows
    overwritten: tuple[OverwrittenEdit, ...]
    undone_by: UUID | None


@router.get("/{undo_id}")
async def get_receipt(
    request: Request,
    undo_id: str,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    names: RowNamesDep,
    kept: Annotated[int | None, Query(ge=1, le=10_000_000)] = None,
) -> Response:
    """`kept` shows only the rows that were kept, from that number on."""
    undo = await get_undo_session(db, member.connection.id, undo_id)
    return pages.render(
        request,
        "undo/receipt.html",
        undo=await _read_receipt(db, member, undo, names, kept),
        is_window=kept is not None,
        can_undo=member.role.includes(Role.EDITOR),
        is_own=undo.user_id == member.person.id,
    )


async def get_undo_session(db: ReadSession, connection_id: UUID, undo_id: str) -> JournalSession:
    known = parse_id(undo_id)
    undo = await queries.find_undo(db, connection_id, known) if known is not None else None
    if undo is None or undo.undo_of is None:
        raise NotFound("There is no such undo.")
    return undo


async def _read_receipt(
    db: ReadSession, member: Membership, undo: JournalSession, names: RowNames, kept_from: int | None
) -> UndoReceipt:
    assert undo.undo_of is not None  # get_undo_session has checked it
    connection_id = member.connection.id
    receipt = decode_receipt(undo.receipt)
    origin = await describe_session(db, connection_id, undo.undo_of)
    counts = await count_session_rows(db, undo.id) if kept_from is None else {}
    changed = sorted({(schema, table) for schema, table, _ in counts}, key=_make_order(origin.own_tables))
    rows = {name: await list_session_rows(db, undo.id, limit=ROWS_SHOWN, table=name) for name in changed[:MAX_TABLES]}
    overwritten = []
    if kept_from is None:
        overwritten = await list_overwritten(db, undo.id, receipt, limit=OVERWRITTEN_SHOWN)
    listed = sort_kept(receipt.conflicts)
    start, shown = (0, KEPT_SHOWN) if kept_from is None else (kept_from, KEPT_IN_WINDOW)
    kept = [await read_kept(db, connection_id, undo, one) for one in listed[start : start + shown]]
    by_image = await _read_names(member, names, rows.values(), overwritten, kept)
    newer = await queries.find_effective_undo(db, undo.id) if undo.status != "open" else None
    tables = [
        show_mutations(connection_id, name, _list_counts(counts, name), one, by_image) for name, one in rows.items()
    ]
    own, cascaded = arrange_tables(tables, origin.own_tables)
    before = listed[start - 1] if 0 < start <= len(listed) else None
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
        tables=own,
        cascaded=cascaded,
        hidden_tables=max(0, len(changed) - MAX_TABLES),
        table_count=len(changed),
        is_incremental=undo.capture != "statement",
        lasting=leave_out_schema(receipt.irreversible, [*changed, *origin.own_tables]),
        kept=KeptRows(
            tuple(show_kept(connection_id, one, by_image) for one in kept),
            len(listed),
            start,
            (f"{before.schema}.{before.table}", show_reason(before.reason, has_values=True)) if before else None,
        ),
        overwritten=tuple(_show_overwritten(connection_id, one, by_image) for one in overwritten),
        undone_by=newer.id if newer is not None else None,
    )


def _make_order(own: Sequence[tuple[str, str]]) -> Callable[[tuple[str, str]], tuple[int, tuple[str, str]]]:
    """The tables that the session wrote itself come first, so that they are shown where there are very many."""
    place = {name: number for number, name in enumerate(own)}
    return lambda name: (place.get(name, len(place)), name)


def _list_counts(counts: Mapping[tuple[str, str, str], int], name: tuple[str, str]) -> tuple[int, int, int]:
    return (counts.get((*name, "insert"), 0), counts.get((*name, "update"), 0), counts.get((*name, "delete"), 0))


async def _read_names(
    member: Membership,
    names: RowNames,
    tables: Iterable[Sequence[JournalMutation]],
    overwritten: Iterable[OverwrittenRow],
    kept: Iterable[KeptHistory],
) -> ImageNames:
    """Names the rows as the preview did: now that the undo is done, the rows that they refer to exist again."""
    images = [image for rows in tables for row in rows for image in list_recorded(row)]
    images += [image for row in overwritten for image in list_recorded(row.mutation)]
    images += [RecordedRow(one.conflict.schema, one.conflict.table, one.image) for one in kept]
    found = await names.read(member, images)
    return {id(image.values): named for image, named in zip(images, found, strict=True)}


def _show_overwritten(connection_id: UUID, row: OverwrittenRow, names: ImageNames) -> OverwrittenEdit:
    conflict, is_deleted = row.conflict, row.mutation.verb == "delete"
    key = list_key(conflict)
    name = name_kept_row(conflict, row.mutation.after_exact or row.mutation.before_exact or {}, names)
    return OverwrittenEdit(
        table=_name_table(conflict),
        name=name,
        key=show_short_key(key, name),
        href=row_path(connection_id, conflict.schema, conflict.table, key) if key and not is_deleted else None,
        values=tuple(
            (make_brief(column, MAX_LABEL), shorten(newer), shorten(restored)) for column, newer, restored in row.values
        ),
    )


def _name_table(conflict: StoredConflict) -> str:
    return conflict.table if conflict.schema == "public" else f"{conflict.schema}.{conflict.table}"
