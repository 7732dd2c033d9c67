"""`POST /api/connections/<id>/sessions/<sid>/undo`."""

from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from basewarden.connections import Editor
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound
from basewarden.undo.errors import REFUSALS, AlreadyUndone, PreviewStale, UndoConflict
from basewarden.undo.receipt import OnConflict
from basewarden.undo.schemas import AlreadyUndoneOut, PreviewStaleOut, ReceiptOut, UndoConflictOut
from basewarden.undo.service import Undo
from basewarden.undo.target import ApplyOptions, UndoActor
from basewarden.web import JSON_TYPE, answer_with, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/sessions/{session_id}", tags=["sessions"])

ANSWERS = {
    **answer_with(ReceiptOut),
    **declare(
        *REFUSALS,
        bodies={UndoConflict: UndoConflictOut, PreviewStale: PreviewStaleOut, AlreadyUndone: AlreadyUndoneOut},
    ),
}

UndoDep = Annotated[Undo, Depends(inject(Undo))]


class UndoRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    mode: Literal["preview", "apply"]
    on_conflict: OnConflict = Field(default="refuse", alias="onConflict")
    preview_token: str | None = Field(default=None, alias="previewToken", max_length=200)


@router.post("/undo", summary="Previews or applies the undo of a session.", responses=ANSWERS)
async def post_undo(session_id: str, body: UndoRequest, member: Editor, undo: UndoDep) -> Response:
    """Where rows are in conflict it answers 409 with the receipt in `details`, and nothing is changed."""
    wanted = parse_id(session_id)
    if wanted is None:
        raise NotFound("There is no such session.")
    if body.mode == "preview":
        receipt = await undo.preview(member.connection.id, wanted)
    else:
        options = ApplyOptions(body.on_conflict, body.preview_token)
        receipt = await undo.apply(member.connection.id, wanted, make_actor(member), options)
    return Response(msgspec.json.encode(receipt.body()), media_type=JSON_TYPE)


def make_actor(member: Editor) -> UndoActor:
    return UndoActor(member.person.id, member.person.name or member.person.email)
