"""`/api/connections/<id>/two-factor`."""

from typing import Annotated

from fastapi import APIRouter, Depends

from basewarden.accounts import ClientInfoDep, FreshlySignedIn, ReauthRequired
from basewarden.connections.callers import Owner
from basewarden.connections.errors import TwoFactorOff
from basewarden.connections.members.schemas import TwoFactorChange, TwoFactorOut
from basewarden.connections.members.two_factor import TwoFactorRule
from basewarden.web import Writing, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}", tags=["members"])

TwoFactorRuleDep = Annotated[TwoFactorRule, Depends(inject(TwoFactorRule))]


@router.put(
    "/two-factor",
    responses=declare(TwoFactorOff, ReauthRequired),
    summary="Sets whether members need two-factor authentication.",
)
async def put_two_factor(
    *,
    body: TwoFactorChange,
    member: Owner,
    _: FreshlySignedIn,
    session: Writing,
    rule: TwoFactorRuleDep,
    client_info: ClientInfoDep,
) -> TwoFactorOut:
    """It must be on for your own account. A member without it gets 403 `two_factor_required`.

    Agents are not affected.
    """
    await rule.change(session, member, client_info, is_required=body.required)
    return TwoFactorOut(required=body.required)
