"""`/api/connections/<id>/sentry/watch`: automatic scans."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from basewarden.accounts import ClientInfoDep
from basewarden.connections import Owner, Viewer
from basewarden.gateway import NeedsPostgres
from basewarden.sentry.watching.queries import find_watch
from basewarden.sentry.watching.schemas import WatchBody, WatchOut
from basewarden.sentry.watching.service import Watching
from basewarden.sentry.watching.view import show_watch
from basewarden.web import Reading, Writing, answer_with, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/sentry", tags=["sentry"])

WatchingDep = Annotated[Watching, Depends(inject(Watching))]


@router.get(
    "/watch",
    response_model=None,
    responses=answer_with(WatchOut),
    summary="Returns when the next automatic scan starts.",
)
async def get_watch(member: Viewer, db: Reading) -> dict[str, Any]:
    """Scans by schedule, and soon after the schema has changed, need a Postgres connection string."""
    return show_watch(await find_watch(db, member.connection.id)).as_body()


@router.patch(
    "/watch",
    response_model=None,
    responses={**answer_with(WatchOut), **declare(NeedsPostgres)},
    summary="Changes how often a connection is scanned automatically.",
)
async def patch_watch(
    body: WatchBody, member: Owner, session: Writing, watching: WatchingDep, client_info: ClientInfoDep
) -> dict[str, Any]:
    """Another schedule begins with a scan."""
    return show_watch(await watching.change(session, member, body.schedule, client_info)).as_body()
