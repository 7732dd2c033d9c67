"""What the page of a connection's members shows."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends

from basewarden.connections.callers import Membership, Viewer
from basewarden.connections.invitations.queries import list_invitations
from basewarden.connections.members.queries import list_members
from basewarden.connections.members.words import ROLE_CHOICES
from basewarden.connections.models import Role
from basewarden.db import ReadSession, WriteSession

PAGE = "connections/members/list.html"


class MembersView:
    """The context of the template, for one request."""

    def __init__(self, member: Membership) -> None:
        self._member = member

    async def describe(self, session: ReadSession | WriteSession) -> dict[str, Any]:
        connection_id, can_manage = self._member.connection.id, self._member.role is Role.OWNER
        return {
            "here": make_members_path(self._member),
            "members": await list_members(session, connection_id),
            "invitations": await list_invitations(session, connection_id) if can_manage else [],
            "own_id": self._member.person.id,
            "can_manage": can_manage,
            "role_choices": ROLE_CHOICES,
            "sent": None,
            "done": None,
        }


def make_members_path(member: Membership) -> str:
    return f"/c/{member.connection.id}/members"


async def _make_members_view(member: Viewer) -> MembersView:
    return MembersView(member)


MembersViewDep = Annotated[MembersView, Depends(_make_members_view)]


def start_form(typed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The form of an invitation, before anything was refused."""
    return {"typed": {"role": Role.VIEWER.value, **(typed or {})}, "errors": {}}
