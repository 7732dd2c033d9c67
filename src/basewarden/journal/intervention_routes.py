"""`/api/connections/<id>/agents/<aid>/pause` and the like, and `/freeze` of a connection: what stops its agents."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, Field

from basewarden.connections import (
    AgentAction,
    AgentOut,
    ConnectionOut,
    parse_agent_id,
    show_agent,
    show_connection,
)
from basewarden.core.text import check_encodable, clean_line
from basewarden.db import WriteSession
from basewarden.journal.interventions import Intervener, IntervenerDep, Interventions
from basewarden.web import RequestBody, Writing, inject

router = APIRouter(prefix="/api/connections/{connection_id}", tags=["connections"])

InterventionsDep = Annotated[Interventions, Depends(inject(Interventions))]
MAX_REASON = 200
Reason = Annotated[
    str,
    AfterValidator(check_encodable),
    AfterValidator(clean_line),
    Field(min_length=1, max_length=MAX_REASON, examples=["Looking into the price changes."]),
]


class StopBody(RequestBody):
    reason: Reason | None = None


class ReleaseBody(RequestBody):
    reason: Reason


@router.post("/agents/{agent_id}/pause", summary="Pauses an agent: its new requests are refused.")
async def post_pause(
    agent_id: str, by: IntervenerDep, db: Writing, interventions: InterventionsDep, body: StopBody | None = None
) -> AgentOut:
    """They are answered with 403 `agent_paused` until it is resumed. What it has begun is finished."""
    return await _apply(interventions, db, by, agent_id, "pause", body)


@router.post("/agents/{agent_id}/resume", summary="Resumes a paused agent.")
async def post_resume(
    agent_id: str, by: IntervenerDep, db: Writing, interventions: InterventionsDep, body: StopBody | None = None
) -> AgentOut:
    return await _apply(interventions, db, by, agent_id, "resume", body)


@router.post("/agents/{agent_id}/freeze", summary="Freezes an agent: its requests end and new ones are refused.")
async def post_freeze_agent(
    agent_id: str, by: IntervenerDep, db: Writing, interventions: InterventionsDep, body: StopBody | None = None
) -> AgentOut:
    """They are answered with 423 `agent_frozen` until it is released. A write that was not committed is rolled back."""
    return await _apply(interventions, db, by, agent_id, "freeze", body)


@router.post("/agents/{agent_id}/release", summary="Releases a frozen agent.")
async def post_release_agent(
    agent_id: str, by: IntervenerDep, db: Writing, interventions: InterventionsDep, body: ReleaseBody
) -> AgentOut:
    """Sessions of the agent that are frozen by themselves stay so."""
    return await _apply(interventions, db, by, agent_id, "release", body)


@router.post("/freeze", summary="Freezes all agents of a connection at once.")
async def post_freeze_all(
    by: IntervenerDep, db: Writing, interventions: InterventionsDep, body: StopBody | None = None
) -> ConnectionOut:
    """Until it is lifted each request of an agent is answered with 423 `connection_frozen`. People are not affected."""
    connection = await interventions.apply_to_all(db, by, "freeze", body.reason if body else None)
    return show_connection(connection, by.member.role)


@router.delete("/freeze", summary="Releases the agents of a connection.")
async def delete_freeze(
    by: IntervenerDep, db: Writing, interventions: InterventionsDep, body: StopBody | None = None
) -> ConnectionOut:
    """Agents that are paused or frozen by themselves stay so."""
    connection = await interventions.apply_to_all(db, by, "release", body.reason if body else None)
    return show_connection(connection, by.member.role)


async def _apply(
    interventions: Interventions,
    db: WriteSession,
    by: Intervener,
    agent_id: str,
    action: AgentAction,
    body: StopBody | ReleaseBody | None,
) -> AgentOut:
    agent = await interventions.apply_to_agent(db, by, parse_agent_id(agent_id), action, body.reason if body else None)
    return show_agent(agent)
