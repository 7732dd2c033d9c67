"""`/api/connections/<id>/agent-names`: names of agents, for a form that completes them."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from basewarden.connections import Viewer
from basewarden.core.text import check_storable
from basewarden.web import Reading
from tests.recipes.agent_names.schemas import AgentNamesOut
from tests.recipes.agent_names.service import complete_name

router = APIRouter(prefix="/api/connections/{connection_id}/agent-names", tags=["agents"])


@router.get("", summary="Lists names of agents that begin with a text.")
async def list_agent_names(
    member: Viewer,
    session: Reading,
    starts_with: Annotated[str, Query(alias="startsWith", max_length=80), AfterValidator(check_storable)] = "",
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> AgentNamesOut:
    """Revoked agents are left out."""
    page = await complete_name(session, member.connection.id, starts_with=starts_with, limit=limit)
    return AgentNamesOut(names=page.names, has_more=page.has_more)
