"""`/api/connections/<id>/proposals`: writes of agents that wait for an approval, and deciding them."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from basewarden.approvals.bodies import detail_body, proposal_body, show_decisions
from basewarden.approvals.schemas import (
    ApprovedOut,
    DecisionBody,
    DecisionsBody,
    DecisionsOut,
    DeclinedOut,
    ProposalDetailOut,
    ProposalsOut,
)
from basewarden.approvals.service import Approvals
from basewarden.connections import Editor, Membership, Viewer
from basewarden.errors import TooMany
from basewarden.proposals import (
    Claims,
    Decider,
    OtherApproverRequired,
    ProposalDecided,
    ProposalExpired,
    ProposalFailed,
    ProposalStale,
    ProposalUnsettled,
    find_proposal,
    list_proposals,
)
from basewarden.web import JSON_TYPE, Reading, answer_with, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/proposals", tags=["proposals"])

ApprovalsDep = Annotated[Approvals, Depends(inject(Approvals))]
ClaimsDep = Annotated[Claims, Depends(inject(Claims))]


@router.get(
    "",
    summary="Lists proposals, the newest first.",
    response_model=None,
    responses=answer_with(ProposalsOut),
)
async def get_proposals(
    member: Viewer,
    db: Reading,
    status: Annotated[str | None, Query(max_length=20)] = None,
    agent: Annotated[str | None, Query(max_length=100)] = None,
    cursor: UUID | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """`status` is pending, executed, declined, stale, expired or failed."""
    page = await list_proposals(db, member.connection.id, status=status, agent=agent, cursor=cursor, limit=limit)
    return {
        "proposals": [proposal_body(one, page.find_status(one)) for one in page.proposals],
        "nextCursor": str(page.cursor) if page.cursor else None,
    }


@router.get(
    "/{proposal_id}",
    summary="Returns a proposal with the rows as they would be.",
    responses=answer_with(ProposalDetailOut),
)
async def get_proposal(proposal_id: str, member: Viewer, db: Reading) -> Response:
    """`before` is pinned: where a row is not so any more, the proposal cannot be approved."""
    found = await find_proposal(db, member.connection.id, proposal_id)
    return Response(msgspec.json.encode(detail_body(found)), media_type=JSON_TYPE)


@router.post("/approve", summary="Approves several proposals, each alone.")
async def post_approve_each(body: DecisionsBody, member: Editor, approvals: ApprovalsDep) -> DecisionsOut:
    """They are run in the order of `ids`. The answer has the status of each, or why it was not approved."""
    decisions = await approvals.approve_each(member.connection.id, body.ids, make_decider(member, body))
    return DecisionsOut(results=show_decisions(decisions))


@router.post("/decline", summary="Declines several proposals.")
async def post_decline_each(body: DecisionsBody, member: Editor, approvals: ApprovalsDep) -> DecisionsOut:
    decisions = await approvals.decline_each(member.connection.id, body.ids, make_decider(member, body))
    return DecisionsOut(results=show_decisions(decisions))


@router.post(
    "/{proposal_id}/approve",
    summary="Approves a proposal: runs exactly what was proposed, once.",
    responses=declare(
        OtherApproverRequired,
        ProposalDecided,
        ProposalExpired,
        ProposalFailed,
        ProposalStale,
        ProposalUnsettled,
        TooMany,
    ),
)
async def post_approve(
    proposal_id: str, member: Editor, approvals: ApprovalsDep, body: DecisionBody | None = None
) -> ApprovedOut:
    """The write is the agent's in the journal, in the session of its own, and can be undone.

    Where a row has changed since, or another one would be changed, nothing is: 409 `proposal_stale`. What the project
    or the agent's limits refuse is 409 `proposal_failed`. A stopped agent, a limit of the hour or a project that cannot
    be reached leave it pending.
    """
    by = make_decider(member, body)
    session_id = await approvals.approve(member.connection.id, proposal_id, by)
    return ApprovedOut(id=UUID(proposal_id), status="executed", session_id=session_id)


@router.post(
    "/{proposal_id}/decline",
    summary="Declines a proposal.",
    responses=declare(ProposalDecided, ProposalExpired, ProposalStale),
)
async def post_decline(
    proposal_id: str, member: Editor, claims: ClaimsDep, body: DecisionBody | None = None
) -> DeclinedOut:
    """The agent reads the reason."""
    declined = await claims.decline(member.connection.id, proposal_id, make_decider(member, body))
    return DeclinedOut(id=declined.id, status="declined")


def make_decider(member: Membership, body: DecisionBody | None) -> Decider:
    """The member who approves or declines, and the reason that they gave."""
    person = member.person
    return Decider(person.id, person.name or person.email, body.reason if body else None)
