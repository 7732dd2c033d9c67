"""Request and response bodies of members."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from basewarden.connections.members.queries import ListedMember
from basewarden.connections.models import Role
from basewarden.web import RequestBody, ResponseBody

GrantedRole = Literal["editor", "viewer"]
"""The roles that an owner gives; the owner is changed by transferring the ownership."""


class MemberChange(RequestBody):
    role: GrantedRole


class OwnerChange(RequestBody):
    user_id: Annotated[str, Field(max_length=100)]


class TwoFactorChange(RequestBody):
    required: bool


class TwoFactorOut(ResponseBody):
    required: bool


class MemberOut(ResponseBody):
    """`twoFactor`: two-factor authentication is on for the account."""

    user_id: UUID
    name: str
    email: str
    role: Role
    joined_at: datetime
    two_factor: bool


class ApprovalsChange(RequestBody):
    by_another: bool


class ApprovalsOut(ResponseBody):
    by_another: bool = Field(description="Whether the person who created an agent may not approve its writes.")


class MembersOut(ResponseBody):
    members: list[MemberOut]


def show_member(member: ListedMember) -> MemberOut:
    return MemberOut(
        user_id=member.user_id,
        name=member.name,
        email=member.email,
        role=member.role,
        joined_at=member.joined_at,
        two_factor=member.has_two_factor,
    )
