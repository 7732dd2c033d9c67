"""Request and response bodies of invitations."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import EmailStr, Field

from basewarden.connections.invitations.queries import ListedInvitation
from basewarden.connections.invitations.service import Invited, SentInvitation
from basewarden.connections.members.schemas import GrantedRole
from basewarden.connections.models import Role
from basewarden.web import RequestBody, ResponseBody

_MAX_EMAIL = 320


class InvitationCreate(RequestBody):
    email: Annotated[EmailStr, Field(max_length=_MAX_EMAIL)]
    role: GrantedRole

    def as_invited(self) -> Invited:
        return Invited(self.email, Role(self.role))


class InvitationOut(ResponseBody):
    """`invitedBy` is a name, or else an email address."""

    id: UUID
    email: str
    role: Role
    status: Literal["waiting", "expired"]
    invited_by: str
    created_at: datetime
    expires_at: datetime


class InvitationsOut(ResponseBody):
    invitations: list[InvitationOut]


class InvitationSent(ResponseBody):
    """`acceptUrl` is the link to pass on, where this deployment sends no email; it is not shown again."""

    id: UUID
    email: str
    role: Role
    expires_at: datetime
    accept_url: str | None


class InvitationAccepted(ResponseBody):
    connection_id: UUID
    role: Role


def show_invitation(found: ListedInvitation) -> InvitationOut:
    return InvitationOut(
        id=found.id,
        email=found.email,
        role=found.role,
        status="expired" if found.is_expired else "waiting",
        invited_by=found.invited_by,
        created_at=found.created_at,
        expires_at=found.expires_at,
    )


def show_sent(sent: SentInvitation) -> InvitationSent:
    return InvitationSent(
        id=sent.id,
        email=sent.invited.email,
        role=sent.invited.role,
        expires_at=sent.link.expires_at,
        accept_url=sent.accept_url,
    )
