"""`/api/connections/<id>/approvals`."""

from typing import Annotated

from fastapi import APIRouter, Depends

from basewarden.accounts import ClientInfoDep, ReauthRequired
from basewarden.connections.callers import Owner
from basewarden.connections.members.approvals import ApprovalRule
from basewarden.connections.members.schemas import ApprovalsChange, ApprovalsOut
from basewarden.web import Writing, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}", tags=["proposals"])

ApprovalRuleDep = Annotated[ApprovalRule, Depends(inject(ApprovalRule))]


@router.put(
    "/approvals",
    responses=declare(ReauthRequired),
    summary="Sets whether another person than an agent's creator must approve.",
)
async def put_approvals(
    *,
    body: ApprovalsChange,
    member: Owner,
    session: Writing,
    rule: ApprovalRuleDep,
    client_info: ClientInfoDep,
) -> ApprovalsOut:
    """Turning it off needs a recent sign-in. Who created the agent then gets 403 `other_approver_required`."""
    is_fresh = member.person.is_fresh
    await rule.change(session, member, client_info, by_another=body.by_another, is_fresh=is_fresh)
    return ApprovalsOut(by_another=body.by_another)
