"""`/api/connections/<id>/sessions`: sessions and their mutations."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from basewarden.connections import Membership, Viewer
from basewarden.db import ReadSession, WriteSession
from basewarden.journal import queries, service
from basewarden.journal.freezing import NotFreezable
from basewarden.journal.intervention_routes import InterventionsDep, StopBody
from basewarden.journal.interventions import IntervenerDep
from basewarden.journal.reconciler import Reconciler
from basewarden.journal.schemas import JournalSessionDetail, JournalSessionOut, JournalSessionsOut
from basewarden.journal.sessions import SessionFilter
from basewarden.web import JSON_TYPE, Reading, Writing, answer_with, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/sessions", tags=["sessions"])

ReconcilerDep = Annotated[Reconciler, Depends(inject(Reconciler))]


@router.get(
    "",
    summary="Lists sessions by their last write, the newest first.",
    response_model=None,
    responses=answer_with(JournalSessionsOut),
)
async def list_sessions(
    membership: Viewer,
    db: Reading,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    limit: int = service.DEFAULT_PAGE,
    status: str | None = None,
) -> dict[str, Any]:
    wanted = SessionFilter(status=status)
    page = await service.list_sessions(db, membership.connection.id, wanted, cursor=cursor, limit=limit)
    return {
        "sessions": [service.session_body(item) for item in page.sessions],
        "nextCursor": page.next_cursor,
    }


@router.get(
    "/{session_id}",
    summary="Returns a session with its writes and row changes, in order.",
    responses=answer_with(JournalSessionDetail),
)
async def get_session(
    session_id: str,
    membership: Viewer,
    db: Reading,
    reconciler: ReconcilerDep,
    after: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """A long session comes in pages: send `nextAfter` as `after` to get the next one."""
    await reconciler.try_reconcile(membership.connection.id)
    summary = await service.get_session(db, membership.connection.id, session_id)
    mutations, next_after = await service.list_mutations(db, summary.session.id, after)
    writes = await queries.list_writes(db, summary.session.id, limit=service.WRITES_SHOWN)
    body = {
        **service.session_body(summary),
        "writes": [service.write_body(write) for write in writes],
        "mutations": [service.mutation_body(view) for view in mutations],
        "nextAfter": next_after,
    }
    return Response(msgspec.json.encode(body), media_type=JSON_TYPE)


@router.post(
    "/{session_id}/freeze",
    summary="Freezes a session: it takes no more writes until it is released.",
    response_model=None,
    responses={
        **answer_with(JournalSessionOut, status="frozen", frozenAt="2026-11-27T14:05:00Z", frozenReason="member"),
        **declare(NotFreezable),
    },
)
async def post_freeze(
    session_id: str, by: IntervenerDep, db: Writing, interventions: InterventionsDep, body: StopBody | None = None
) -> dict[str, Any]:
    """A write to it that runs now ends. A session that has used up its agent's budget is frozen the same way."""
    await interventions.apply_to_session(db, by, session_id, "freeze", body.reason if body else None)
    return await _describe(db, by.member, session_id)


@router.post(
    "/{session_id}/release",
    summary="Releases a frozen session.",
    response_model=None,
    responses=answer_with(JournalSessionOut),
)
async def post_release(
    session_id: str, by: IntervenerDep, db: Writing, interventions: InterventionsDep, body: StopBody | None = None
) -> dict[str, Any]:
    """The session takes writes again, with a full budget."""
    await interventions.apply_to_session(db, by, session_id, "release", body.reason if body else None)
    return await _describe(db, by.member, session_id)


async def _describe(db: WriteSession, membership: Membership, session_id: str) -> dict[str, Any]:
    await db.flush()
    return service.session_body(await service.get_session(ReadSession(db), membership.connection.id, session_id))
