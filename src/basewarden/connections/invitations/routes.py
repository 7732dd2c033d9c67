"""`/api/connections/<id>/members/invitations`, and `/api/invitations/<token>/accept`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from basewarden.accounts import ClientInfoDep, SignedIn
from basewarden.billing import PlanLimit
from basewarden.connections.callers import Owner
from basewarden.connections.invitations.acceptance import Acceptance
from basewarden.connections.invitations.errors import (
    AddressUnverified,
    InvitationExpired,
    InvitationUsed,
    OtherAddress,
)
from basewarden.connections.invitations.queries import list_invitations
from basewarden.connections.invitations.schemas import (
    InvitationAccepted,
    InvitationCreate,
    InvitationSent,
    InvitationsOut,
    show_invitation,
    show_sent,
)
from basewarden.connections.invitations.service import Invitations
from basewarden.connections.members.errors import AlreadyMember, TooManyMembers
from basewarden.errors import NotFound, TooMany
from basewarden.web import Reading, Writing, declare, inject

router = APIRouter(tags=["members"])
of_connection = APIRouter(prefix="/api/connections/{connection_id}/members/invitations")

InvitationsDep = Annotated[Invitations, Depends(inject(Invitations))]
AcceptanceDep = Annotated[Acceptance, Depends(inject(Acceptance))]
_SENDING = declare(PlanLimit, AddressUnverified, AlreadyMember, TooManyMembers, TooMany)


@of_connection.get("", summary="Lists the invitations that were not accepted.")
async def get_invitations(member: Owner, session: Reading) -> InvitationsOut:
    found = await list_invitations(session, member.connection.id)
    return InvitationsOut(invitations=[show_invitation(one) for one in found])


@of_connection.post(
    "", status_code=HTTPStatus.CREATED, responses=_SENDING, summary="Sends an invitation to an email address."
)
async def post_invitation(
    body: InvitationCreate, member: Owner, session: Writing, invitations: InvitationsDep, client_info: ClientInfoDep
) -> InvitationSent:
    """It works for 7 days. The answer is the same whether or not the address has an account.

    A waiting invitation to the same address is replaced, and its link no longer works.
    """
    return show_sent(await invitations.invite(session, member, body.as_invited(), client_info))


@of_connection.post("/{invitation_id}/resend", responses=_SENDING, summary="Sends an invitation again.")
async def post_resend(
    invitation_id: str, member: Owner, session: Writing, invitations: InvitationsDep, client_info: ClientInfoDep
) -> InvitationSent:
    """With a new link for 7 days; the earlier one no longer works."""
    return show_sent(await invitations.resend(session, member, invitation_id, client_info))


@of_connection.delete(
    "/{invitation_id}", status_code=HTTPStatus.NO_CONTENT, summary="Revokes an invitation; its link stops working."
)
async def delete_invitation(
    invitation_id: str, member: Owner, session: Writing, invitations: InvitationsDep, client_info: ClientInfoDep
) -> None:
    await invitations.revoke(session, member, invitation_id, client_info)


@router.post(
    "/api/invitations/{token}/accept",
    responses=declare(
        OtherAddress, AddressUnverified, NotFound, InvitationUsed, AlreadyMember, InvitationExpired, PlanLimit
    ),
    summary="Accepts an invitation.",
)
async def post_accept(
    token: str, person: SignedIn, session: Writing, acceptance: AcceptanceDep, client_info: ClientInfoDep
) -> InvitationAccepted:
    """The email address of your account must be the invited one, and confirmed."""
    accepted = await acceptance.accept(session, token, person, client_info)
    return InvitationAccepted(connection_id=accepted.connection_id, role=accepted.role)


router.include_router(of_connection)
