"""`/c/<id>/refusals`: requests of agents that policy refused."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Viewer
from basewarden.journal.refusals import service
from basewarden.journal.timeline import REFUSAL_WORDS
from basewarden.web import PagesDep, Reading

router = APIRouter(prefix="/c/{connection_id}/refusals", include_in_schema=False)


@router.get("")
async def get_refusals(
    request: Request,
    member: Viewer,
    db: Reading,
    pages: PagesDep,
    agent: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    page = await service.list_refusals(db, member.connection.id, agent=agent, cursor=cursor)
    here = f"/c/{member.connection.id}/refusals"
    kept = {"agent": agent} if agent else {}
    shown = page.refusals[0] if agent and page.refusals else None
    return pages.render(
        request,
        "journal/refusals.html",
        here=f"{here}?{urlencode(kept)}" if kept else here,
        refusals=page.refusals,
        is_filtered=agent is not None,
        agent_name=shown.agent_name if shown else None,
        agent_href=f"/c/{member.connection.id}/agents/{shown.agent_id}" if shown else None,
        words=REFUSAL_WORDS,
        is_first=cursor is None,
        next_href=f"{here}?{urlencode({**kept, 'cursor': page.next_cursor})}" if page.next_cursor else None,
    )
