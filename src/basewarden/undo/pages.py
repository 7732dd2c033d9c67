"""`/c/<id>/sessions/<sid>/undo`: the preview of an undo as a diff, and the form that applies it."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Editor
from basewarden.core.back_paths import MAX_BACK, add_parameter, is_back_path
from basewarden.core.ids import parse_id
from basewarden.db import ReadSession
from basewarden.errors import AppError, Invalid, NotFound
from basewarden.undo.errors import REFUSALS, AlreadyUndone, PreviewStale, UndoConflict
from basewarden.undo.planning.choices import NO_CHOICES, Choices, choose_first, make_choices
from basewarden.undo.planning.samples import sort_conflicts
from basewarden.undo.preview_view import PreviewPage, describe_preview
from basewarden.undo.receipt import OnConflict, Receipt
from basewarden.undo.routes import UndoDep, make_actor
from basewarden.undo.row_samples import SampleWindow
from basewarden.undo.service import Undo
from basewarden.undo.session_name import describe_session, describe_target, encode_writes
from basewarden.undo.target import ApplyOptions
from basewarden.web import Pages, PagesDep, Reading, parse_form, redirect

router = APIRouter(prefix="/c/{connection_id}/sessions/{session_id}", include_in_schema=False)

MAX_WRITES = 100
WritesQuery = Annotated[list[UUID] | None, Query(max_length=MAX_WRITES)]
RowsQuery = Annotated[list[Annotated[int, Field(ge=0, le=2**62)]] | None, Query(max_length=MAX_WRITES)]


_CHOICE = "choice-"


class UndoForm(BaseModel):
    """`all` and `show` are buttons that show the preview again, with all conflicts settled alike or with more of them.

    `restored` are the ids of chosen conflicts that the page does not show; each shown one has a field of its own.
    """

    onConflict: OnConflict = "refuse"  # noqa: N815 - the field's name in the API and in the form
    previewToken: str | None = Field(default=None, max_length=200)  # noqa: N815 - as in the API
    back: str | None = Field(default=None, max_length=MAX_BACK)
    all: Literal["keep", "restore"] | None = None
    show: int | None = Field(default=None, ge=1, le=10_000_000)
    restored: str = Field(default="", max_length=200_000)

    def read_choices(self, typed: Mapping[str, str]) -> Choices:
        shown = {name.removeprefix(_CHOICE): choice for name, choice in typed.items() if name.startswith(_CHOICE)}
        return make_choices({**dict.fromkeys(self.restored.split(), "restore"), **shown})


@dataclass(frozen=True, slots=True)
class PageTarget:
    """What a page undoes: a session, some of its `writes`, or some `rows` (positions) of one write."""

    session_id: UUID
    writes: tuple[UUID, ...]
    rows: tuple[int, ...]


def read_page_target(session_id: str, write: WritesQuery = None, row: RowsQuery = None) -> PageTarget:
    wanted = parse_id(session_id)
    if wanted is None or (row and len(write or ()) != 1):
        raise NotFound("There is no such session.")
    return PageTarget(wanted, tuple(write or ()), tuple(row or ()))


TargetDep = Annotated[PageTarget, Depends(read_page_target)]


@router.get("/undo")
async def get_undo(
    request: Request,
    member: Editor,
    target: TargetDep,
    undo: UndoDep,
    db: Reading,
    pages: PagesDep,
    table: Annotated[list[str] | None, Query(max_length=2)] = None,
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    conflicts: Annotated[int | None, Query(ge=1, le=10_000_000)] = None,
    all_conflicts: Annotated[Literal["keep", "restore"], Query(alias="all")] = "keep",
) -> Response:
    """Shows what an undo would do; reads only. `table` (schema, name) shows rows of that table from `start` on.

    `conflicts` shows the conflicts from that number on, where all are kept or all are restored.
    """
    window = SampleWindow(table[0], table[1], start) if table and len(table) == 2 and table[1] else None
    if conflicts is not None:
        window = SampleWindow("", "", conflicts)
    try:
        choices = await _choose_all(undo, member, target) if all_conflicts == "restore" else NO_CHOICES
        receipt = await _preview(undo, member, target, choices, window)
    except REFUSALS as error:
        return await _show(request, pages, member, db, target, refused=error, status=error.status)
    return await _show(request, pages, member, db, target, receipt=receipt, window=window)


@router.post("/undo")
async def post_undo(
    request: Request, member: Editor, target: TargetDep, undo: UndoDep, db: Reading, pages: PagesDep
) -> Response:
    """Redirects to the receipt, or to the page that the form comes back to; a refusal shows the preview again."""
    form = await parse_form(request, UndoForm)
    data = form.data or UndoForm()
    try:
        choices = data.read_choices(form.typed)
    except Invalid as error:
        return await _preview_again(request, pages, member, db, undo, target, data, NO_CHOICES, refused=error)
    if form.data is None or data.all is not None or data.show is not None:  # what is not understood is not done
        return await _preview_again(request, pages, member, db, undo, target, data, choices)
    options = ApplyOptions(data.onConflict, data.previewToken, choices)
    again = HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        receipt = await undo.apply(
            member.connection.id, target.session_id, make_actor(member), options, target.writes, target.rows
        )
    except (UndoConflict, PreviewStale) as error:
        return await _show(request, pages, member, db, target, receipt=error.receipt, refused=error, status=again)
    except REFUSALS as error:
        return await _show(request, pages, member, db, target, refused=error, status=again)
    if receipt.undo_session_id is None:
        return await _show(request, pages, member, db, target, receipt=receipt, is_applied=True)
    home = f"/c/{member.connection.id}/"
    if data.back is not None and is_back_path(data.back, home):
        return redirect(add_parameter(data.back, "undone", str(receipt.undo_session_id)))
    return redirect(f"{home}undos/{receipt.undo_session_id}")


async def _preview_again(
    request: Request,
    pages: Pages,
    member: Editor,
    db: ReadSession,
    undo: Undo,
    target: PageTarget,
    data: UndoForm,
    choices: Choices,
    *,
    refused: AppError | None = None,
) -> Response:
    """Shows the preview with these choices, or with all conflicts settled alike, and why the form was refused."""
    try:
        if data.all is not None:
            choices = await _choose_all(undo, member, target) if data.all == "restore" else NO_CHOICES
        receipt = await _preview(undo, member, target, choices)
    except REFUSALS as error:
        return await _show(request, pages, member, db, target, refused=error, status=error.status)
    shown, status = data.show or 0, HTTPStatus.OK if refused is None else refused.status
    return await _show(
        request, pages, member, db, target, receipt=receipt, refused=refused, conflicts_shown=shown, status=status
    )


async def _preview(
    undo: Undo, member: Editor, target: PageTarget, choices: Choices, window: SampleWindow | None = None
) -> Receipt:
    return await undo.preview(
        member.connection.id, target.session_id, target.writes, window, choices=choices, rows=target.rows
    )


async def _choose_all(undo: Undo, member: Editor, target: PageTarget) -> Choices:
    """All conflicts as they are now, in the order of the page as far as there may be choices."""
    receipt = await _preview(undo, member, target, NO_CHOICES)
    return choose_first(conflict.id for conflict in sort_conflicts(receipt.conflicts))


async def _show(
    request: Request,
    pages: Pages,
    member: Editor,
    db: ReadSession,
    target: PageTarget,
    *,
    receipt: Receipt | None = None,
    refused: Any = None,
    window: SampleWindow | None = None,
    is_applied: bool = False,
    conflicts_shown: int = 0,
    status: int = HTTPStatus.OK,
) -> Response:
    session_id = target.session_id
    session = await describe_session(db, member.connection.id, session_id)
    shown: PreviewPage | None = None
    if receipt is not None and not is_applied:
        shown = await describe_preview(
            db, member.connection.id, session_id, receipt, session.own_tables, window, conflicts_shown
        )
    query = encode_writes(target.writes, target.rows)
    return pages.render(
        request,
        "undo/undo.html",
        status=status,
        session=session,
        session_path=f"/c/{member.connection.id}/sessions/{session_id}",
        here=f"/c/{member.connection.id}/sessions/{session_id}/undo",
        query=query,
        action=f"/c/{member.connection.id}/sessions/{session_id}/undo{query}",
        of_writes=await describe_target(db, session_id, target.writes, len(target.rows)),
        receipt=receipt,
        shown=shown,
        window=window,
        refused=refused.text if refused else None,
        is_stale=isinstance(refused, PreviewStale),
        undone_by=refused.details["undoSessionId"] if isinstance(refused, AlreadyUndone) else None,
        is_applied=is_applied,
    )
