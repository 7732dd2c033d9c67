"""`/c/<id>/undos/<uid>`: the receipt of an undo."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Role, Viewer
from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.core.ids import parse_id
from basewarden.core.row_labels import describe_references, find_label
from basewarden.db import ReadSession
from basewarden.errors import NotFound
from basewarden.journal import JournalSession, count_session_rows, encode_key, list_row_history, list_session_rows
from basewarden.undo import queries
from basewarden.undo.diff_view import DiffTable, show_mutations
from basewarden.undo.planning.samples import MAX_LABEL, MAX_TABLES
from basewarden.undo.preview_view import SessionName, describe_session
from basewarden.undo.stored_receipt import StoredConflict, StoredReceipt, decode_receipt
from basewarden.web import PagesDep, Reading

CONFLICTS_SHOWN = 50
ROWS_SHOWN = 20

router = APIRouter(prefix="/c/{connection_id}/undos", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row that the undo left as it was, and why."""

    table: str
    name: str
    href: str | None
    columns: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class UndoReceipt:
    """`is_redo`: what was undone is an undo itself. `undone_by` undid this one."""

    id: UUID
    caller: str
    at: datetime
    state: str
    status: str
    origin: SessionName
    origin_id: UUID
    is_redo: bool
    receipt: StoredReceipt
    tables: tuple[DiffTable, ...]
    hidden_tables: int
    kept: tuple[KeptRow, ...]
    undone_by: UUID | None


@router.get("/{undo_id}")
async def get_receipt(request: Request, undo_id: str, member: Viewer, db: Reading, pages: PagesDep) -> Response:
    undo = await get_undo_session(db, member.connection.id, undo_id)
    return pages.render(
        request,
        "undo/receipt.html",
        undo=await _read_receipt(db, member.connection.id, undo),
        can_undo=member.role.includes(Role.EDITOR),
    )


async def get_undo_session(db: ReadSession, connection_id: UUID, undo_id: str) -> JournalSession:
    known = parse_id(undo_id)
    undo = await queries.find_undo(db, connection_id, known) if known is not None else None
    if undo is None or undo.undo_of is None:
        raise NotFound("There is no such undo.")
    return undo


async def _read_receipt(db: ReadSession, connection_id: UUID, undo: JournalSession) -> UndoReceipt:
    assert undo.undo_of is not None  # get_undo_session has checked it
    receipt = decode_receipt(undo.receipt)
    counts = await count_session_rows(db, undo.id)
    names = sorted({(schema, table) for schema, table, _ in counts})
    tables = [
        show_mutations(
            connection_id,
            name,
            (counts.get((*name, "insert"), 0), counts.get((*name, "update"), 0), counts.get((*name, "delete"), 0)),
            await list_session_rows(db, undo.id, limit=ROWS_SHOWN, table=name),
        )
        for name in names[:MAX_TABLES]
    ]
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
        receipt=receipt,
        tables=tuple(tables),
        hidden_tables=max(0, len(names) - MAX_TABLES),
        kept=tuple([await _show_kept(db, connection_id, one) for one in receipt.conflicts[:CONFLICTS_SHOWN]]),
        undone_by=newer.id if newer is not None else None,
    )


async def _show_kept(db: ReadSession, connection_id: UUID, conflict: StoredConflict) -> KeptRow:
    key = [value if isinstance(value, str) else str(value) for value in conflict.primary_key.values()]
    columns = tuple(column if isinstance(column, str) else column.name for column in conflict.columns)
    return KeptRow(
        table=conflict.table if conflict.schema == "public" else f"{conflict.schema}.{conflict.table}",
        name=await _find_name(db, connection_id, conflict, key) or make_brief(", ".join(key), MAX_LABEL),
        href=row_path(connection_id, conflict.schema, conflict.table, key) if key else None,
        columns=tuple(make_brief(column) for column in columns),
        reason=make_brief(conflict.reason, 400),
    )


async def _find_name(db: ReadSession, connection_id: UUID, conflict: StoredConflict, key: list[str]) -> str | None:
    """What the row was called when it was written last."""
    columns = tuple(conflict.primary_key)
    found = await list_row_history(db, connection_id, conflict.schema, conflict.table, encode_key(tuple(key)), limit=1)
    row = (found[0][0].mutation.after_exact or found[0][0].mutation.before_exact or {}) if found else {}
    return find_label(row, columns) or describe_references(row, columns)
