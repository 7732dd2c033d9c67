"""`/c/<id>/sessions/<sid>/undo`: the preview of an undo as a diff, and the form that applies it."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Editor
from basewarden.core.back_paths import MAX_BACK, add_parameter, is_back_path
from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.errors import NotFound
from basewarden.undo.errors import REFUSALS, AlreadyUndone, PreviewStale, UndoConflict
from basewarden.undo.preview_view import PreviewPage, describe_preview, describe_session, encode_writes
from basewarden.undo.receipt import OnConflict, Receipt
from basewarden.undo.routes import UndoDep, make_actor
from basewarden.undo.row_samples import SampleWindow
from basewarden.undo.target import ApplyOptions
from basewarden.web import Pages, PagesDep, Reading, parse_form, redirect

router = APIRouter(prefix="/c/{connection_id}/sessions/{session_id}", include_in_schema=False)

MAX_WRITES = 100
WritesQuery = Annotated[list[UUID] | None, Query(max_length=MAX_WRITES)]


class UndoForm(BaseModel):
    onConflict: OnConflict = "refuse"  # noqa: N815 - the field's name in the API and in the form
    previewToken: str | None = None  # noqa: N815 - as in the API
    back: str | None = Field(default=None, max_length=MAX_BACK)


@router.get("/undo")
async def get_undo(
    request: Request,
    session_id: str,
    member: Editor,
    undo: UndoDep,
    db: Reading,
    pages: PagesDep,
    write: WritesQuery = None,
    table: Annotated[list[str] | None, Query(max_length=2)] = None,
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    conflicts: Annotated[int | None, Query(ge=1, le=10_000_000)] = None,
) -> Response:
    """Shows what an undo would do; reads only. `table` (schema, name) shows rows of that table from `start` on.

    `conflicts` shows the conflicts from that number on.
    """
    wanted, writes = _read_session_id(session_id), write or []
    window = SampleWindow(table[0], table[1], start) if table and len(table) == 2 and table[1] else None
    if conflicts is not None:
        window = SampleWindow("", "", conflicts)
    try:
        receipt = await undo.preview(member.connection.id, wanted, writes, window)
    except REFUSALS as error:
        return await _show(request, pages, member, db, wanted, writes, refused=error, status=error.status)
    return await _show(request, pages, member, db, wanted, writes, receipt=receipt, window=window)


@router.post("/undo")
async def post_undo(
    request: Request,
    session_id: str,
    member: Editor,
    undo: UndoDep,
    db: Reading,
    pages: PagesDep,
    write: WritesQuery = None,
) -> Response:
    """Redirects to the receipt, or to the page that the form comes back to; a refusal shows the preview again."""
    wanted, writes = _read_session_id(session_id), write or []
    form = await parse_form(request, UndoForm)
    data = form.data or UndoForm()
    options = ApplyOptions(data.onConflict, data.previewToken)
    again = HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        receipt = await undo.apply(member.connection.id, wanted, make_actor(member), options, writes)
    except (UndoConflict, PreviewStale) as error:
        return await _show(
            request, pages, member, db, wanted, writes, receipt=error.receipt, refused=error, status=again
        )
    except REFUSALS as error:
        return await _show(request, pages, member, db, wanted, writes, refused=error, status=again)
    if receipt.undo_session_id is None:
        return await _show(request, pages, member, db, wanted, writes, receipt=receipt, is_applied=True)
    home = f"/c/{member.connection.id}/"
    if data.back is not None and is_back_path(data.back, home):
        return redirect(add_parameter(data.back, "undone", str(receipt.undo_session_id)))
    return redirect(f"{home}undos/{receipt.undo_session_id}")


def _read_session_id(text: str) -> UUID:
    wanted = parse_id(text)
    if wanted is None:
        raise NotFound("There is no such session.")
    return wanted


async def _show(
    request: Request,
    pages: Pages,
    member: Editor,
    db: ReadSession,
    session_id: UUID,
    writes: Sequence[UUID],
    *,
    receipt: Receipt | None = None,
    refused: Any = None,
    window: SampleWindow | None = None,
    is_applied: bool = False,
    status: int = HTTPStatus.OK,
) -> Response:
    session = await describe_session(db, member.connection.id, session_id)
    shown: PreviewPage | None = None
    if receipt is not None and not is_applied:
        shown = await describe_preview(db, member.connection.id, session_id, receipt, window)
    query = encode_writes(writes)
    return pages.render(
        request,
        "undo/undo.html",
        status=status,
        session=session,
        session_path=f"/c/{member.connection.id}/sessions/{session_id}",
        here=f"/c/{member.connection.id}/sessions/{session_id}/undo",
        query=query,
        action=f"/c/{member.connection.id}/sessions/{session_id}/undo{query}",
        is_of_writes=bool(writes),
        receipt=receipt,
        shown=shown,
        window=window,
        refused=refused.text if refused else None,
        is_stale=isinstance(refused, PreviewStale),
        undone_by=refused.details["undoSessionId"] if isinstance(refused, AlreadyUndone) else None,
        is_applied=is_applied,
    )
