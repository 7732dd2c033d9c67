"""`/api/connections/<id>/refusals`: requests of agents that policy refused."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from basewarden.connections import Viewer
from basewarden.journal.refusals import service
from basewarden.journal.schemas import RefusalsOut
from basewarden.web import Reading, answer_with

router = APIRouter(prefix="/api/connections/{connection_id}/refusals", tags=["sessions"])


@router.get(
    "",
    summary="Lists requests of agents that policy refused, the newest first.",
    response_model=None,
    responses=answer_with(RefusalsOut),
)
async def list_refusals(
    member: Viewer,
    db: Reading,
    agent: Annotated[str | None, Query(max_length=100)] = None,
    code: Annotated[str | None, Query(max_length=100, pattern=r"^[a-z_]+$")] = None,
    since: datetime | None = None,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: int = service.DEFAULT_PAGE,
) -> dict[str, Any]:
    """Requests of one kind and hour are one entry with a count."""
    page = await service.list_refusals(
        db, member.connection.id, agent=agent, code=code, since=since, cursor=cursor, limit=limit
    )
    return {"refusals": [service.refusal_body(one) for one in page.refusals], "nextCursor": page.next_cursor}
