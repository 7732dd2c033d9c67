"""`POST /api/connections/<id>/sessions/<sid>/undo`, and `POST /api/connections/<id>/undo` with a target."""

from collections.abc import AsyncIterator, Collection
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from basewarden.connections import Editor, Viewer
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound
from basewarden.undo import queries
from basewarden.undo.errors import REFUSALS, AlreadyUndone, PreviewStale, UndoConflict
from basewarden.undo.overwritten_rows import read_overwritten
from basewarden.undo.planning.choices import MOST_CHOICES, make_choices
from basewarden.undo.receipt import OnConflict
from basewarden.undo.schemas import (
    AlreadyUndoneOut,
    PreviewStaleOut,
    ReceiptOut,
    StoredReceiptOut,
    UndoConflictOut,
)
from basewarden.undo.service import Undo
from basewarden.undo.stored_receipt import decode_receipt, show_receipt
from basewarden.undo.target import ApplyOptions, UndoActor
from basewarden.web import JSON_TYPE, DatabaseDep, Reading, answer_with, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}", tags=["sessions"])

ANSWERS = {
    **answer_with(ReceiptOut),
    **declare(
        *REFUSALS,
        bodies={UndoConflict: UndoConflictOut, PreviewStale: PreviewStaleOut, AlreadyUndone: AlreadyUndoneOut},
    ),
}

UndoDep = Annotated[Undo, Depends(inject(Undo))]


MutationId = Annotated[int, Field(ge=1, le=2**62)]


class UndoRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    mode: Literal["preview", "apply"]
    on_conflict: OnConflict = Field(default="refuse", alias="onConflict")
    preview_token: str | None = Field(default=None, alias="previewToken", max_length=200)
    choices: dict[Annotated[str, Field(max_length=100)], Literal["keep", "restore"]] = Field(
        default_factory=dict,
        description="By the `id` of a conflict: `restore` overwrites the newer values that the conflict shows, and only"
        " those. A row that was changed again since is a conflict still."
        f" One undo can restore at most {MOST_CHOICES:,} rows so.",
    )


class WritesTarget(BaseModel):
    """Writes of one session, by the `writeId` of their row changes."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    write_ids: list[UUID] = Field(alias="writeIds", min_length=1, max_length=100)


class RowsTarget(BaseModel):
    """Row changes of one write, by their `id`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    mutation_ids: list[Annotated[int, Field(ge=1, le=2**62)]] = Field(
        alias="mutationIds", min_length=1, max_length=1000
    )


class SessionTarget(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    session_id: UUID = Field(alias="sessionId")


class TargetedUndoRequest(UndoRequest):
    target: SessionTarget | WritesTarget | RowsTarget = Field(
        description="What is to be undone: a session, some of its writes, or some row changes of one write."
    )


@router.post("/sessions/{session_id}/undo", summary="Previews or applies the undo of a session.", responses=ANSWERS)
async def post_undo(session_id: str, body: UndoRequest, member: Editor, undo: UndoDep) -> Response:
    """Where rows are in conflict it answers 409 with the receipt in `details`, and nothing is changed.

    `choices` settle conflicts row by row; the receipt lists the rows that were restored over newer values.
    """
    wanted = parse_id(session_id)
    if wanted is None:
        raise NotFound("There is no such session.")
    return await _answer(undo, member, wanted, body)


@router.post(
    "/undo",
    summary="Previews or applies the undo of a session or of a part of it.",
    responses=ANSWERS,
)
async def post_targeted_undo(body: TargetedUndoRequest, member: Editor, undo: UndoDep) -> Response:
    """Undoes only the writes or row changes in `target`; all other changes stay.

    A row that a later write of the same session changed in the same columns, moved or deleted is a conflict.
    """
    if isinstance(body.target, SessionTarget):
        return await _answer(undo, member, body.target.session_id, body)
    if isinstance(body.target, RowsTarget):
        found = await undo.find_row_changes(member.connection.id, body.target.mutation_ids)
        session_id, write_id, rows = found
        return await _answer(undo, member, session_id, body, [write_id], rows)
    writes = body.target.write_ids
    return await _answer(undo, member, await undo.find_session(member.connection.id, writes), body, writes)


@router.get(
    "/undos/{undo_id}/receipt.json",
    summary="Downloads the receipt of an undo.",
    responses=answer_with(StoredReceiptOut),
)
async def get_receipt_file(undo_id: str, member: Viewer, db: Reading, database: DatabaseDep) -> Response:
    """The receipt as it was stored when the undo ended, with the rows that were kept and why."""
    known = parse_id(undo_id)
    undo = await queries.find_undo(db, member.connection.id, known) if known is not None else None
    if undo is None or undo.receipt is None:
        raise NotFound("There is no such undo.")
    receipt = decode_receipt(undo.receipt)
    body = {
        **{name: value for name, value in show_receipt(receipt).items() if name != "overwritten"},
        "undoSessionId": str(undo.id),
        "sessionId": str(undo.undo_of),
        "state": undo.undo_state,
        "by": undo.caller_name,
        "at": undo.started_at.isoformat(),
    }
    file = {"content-disposition": f'attachment; filename="receipt-{undo.id}.json"'}
    if not receipt.overwritten:
        return Response(msgspec.json.encode(body), media_type=JSON_TYPE, headers=file)
    pieces = _write_file(body, read_overwritten(database, undo.id, receipt))
    return StreamingResponse(pieces, media_type=JSON_TYPE, headers=file)


async def _write_file(body: dict[str, Any], overwritten: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
    """The values of these rows may be long, so only a page of them is in memory. A failure ends it as invalid JSON."""
    yield msgspec.json.encode(body).removesuffix(b"}") + b',"overwritten":['
    comma = b""
    async for page in overwritten:
        for row in page:
            yield comma + msgspec.json.encode(row)
            comma = b","
    yield b"]}"


async def _answer(
    undo: Undo,
    member: Editor,
    session_id: UUID,
    body: UndoRequest,
    writes: Collection[UUID] = (),
    rows: Collection[int] = (),
) -> Response:
    choices = make_choices(body.choices)
    if body.mode == "preview":
        receipt = await undo.preview(member.connection.id, session_id, writes, choices=choices, rows=rows)
    else:
        options = ApplyOptions(body.on_conflict, body.preview_token, choices)
        receipt = await undo.apply(member.connection.id, session_id, make_actor(member), options, writes, rows)
    return Response(msgspec.json.encode(receipt.body()), media_type=JSON_TYPE)


def make_actor(member: Editor) -> UndoActor:
    return UndoActor(member.person.id, member.person.name or member.person.email)
