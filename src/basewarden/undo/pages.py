"""`/c/<id>/sessions/<sid>/undo`: the preview, and the form that applies it."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Editor
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound
from basewarden.undo.errors import REFUSALS, PreviewStale, UndoConflict
from basewarden.undo.receipt import OnConflict, Receipt
from basewarden.undo.routes import UndoDep, make_actor
from basewarden.undo.stored_receipt import encode_receipt, make_stored_receipt
from basewarden.undo.target import ApplyOptions
from basewarden.web import Pages, PagesDep, parse_form, redirect

router = APIRouter(prefix="/c/{connection_id}/sessions/{session_id}", include_in_schema=False)

CONFLICTS_SHOWN = 100


class UndoForm(BaseModel):
    onConflict: OnConflict = "refuse"  # noqa: N815 - the field's name in the API and in the form
    previewToken: str | None = None  # noqa: N815 - as in the API


@router.get("/undo")
async def get_undo(request: Request, session_id: str, member: Editor, undo: UndoDep, pages: PagesDep) -> Response:
    """Shows what an undo would do; reads only."""
    wanted = parse_id(session_id)
    if wanted is None:
        raise NotFound("There is no such session.")
    try:
        receipt = await undo.preview(member.connection.id, wanted)
    except REFUSALS as error:
        return _show(request, pages, member, session_id, refused=error.text, status=error.status)
    return _show(request, pages, member, session_id, receipt=receipt)


@router.post("/undo")
async def post_undo(request: Request, session_id: str, member: Editor, undo: UndoDep, pages: PagesDep) -> Response:
    """Redirects to the undo's own session, which shows the receipt; a refusal shows the preview again."""
    wanted = parse_id(session_id)
    if wanted is None:
        raise NotFound("There is no such session.")
    form = await parse_form(request, UndoForm)
    options = ApplyOptions(form.data.onConflict, form.data.previewToken) if form.data else ApplyOptions()
    again = HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        receipt = await undo.apply(member.connection.id, wanted, make_actor(member), options)
    except (UndoConflict, PreviewStale) as error:
        return _show(request, pages, member, session_id, receipt=error.receipt, refused=error.text, status=again)
    except REFUSALS as error:
        return _show(request, pages, member, session_id, refused=error.text, status=again)
    if receipt.undo_session_id is None:
        return _show(request, pages, member, session_id, receipt=receipt, is_applied=True)
    return redirect(f"/c/{member.connection.id}/sessions/{receipt.undo_session_id}")


def _show(
    request: Request,
    pages: Pages,
    member: Editor,
    session_id: str,
    *,
    receipt: Receipt | None = None,
    refused: str | None = None,
    is_applied: bool = False,
    status: int = HTTPStatus.OK,
) -> Response:
    return pages.render(
        request,
        "undo/undo.html",
        status=status,
        session_path=f"/c/{member.connection.id}/sessions/{session_id}",
        session_id=session_id,
        receipt=_describe(receipt, is_applied=is_applied) if receipt else None,
        hidden_conflicts=max(0, len(receipt.conflicts) - CONFLICTS_SHOWN) if receipt else 0,
        tables=receipt.tables if receipt else (),
        refused=refused,
        is_applied=is_applied,
        is_incremental=receipt.is_incremental if receipt else False,
        pending_writes=receipt.pending_writes if receipt else 0,
    )


def _describe(receipt: Receipt, *, is_applied: bool) -> dict[str, Any]:
    """A preview counts the rows that an undo would revert if it skipped the conflicts."""
    body = encode_receipt(make_stored_receipt(receipt))
    if not is_applied:
        conflicts = len(receipt.conflicts)
        free = max(0, receipt.planned - receipt.already_reverted - conflicts)
        body |= {"reverted": free, "skipped": min(conflicts, receipt.planned)}
    return {**body, "conflict_count": len(receipt.conflicts), "conflicts": body["conflicts"][:CONFLICTS_SHOWN]}
