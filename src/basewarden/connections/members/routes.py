"""`/api/connections/<id>/members` and `…/owner`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends

from basewarden.accounts import ClientInfoDep, FreshlySignedIn, ReauthRequired
from basewarden.billing import PlanLimit
from basewarden.connections.callers import Owner, Viewer
from basewarden.connections.members.errors import LastOwner
from basewarden.connections.members.queries import list_members
from basewarden.connections.members.schemas import MemberChange, MemberOut, MembersOut, OwnerChange, show_member
from basewarden.connections.members.service import Members
from basewarden.connections.models import Role
from basewarden.web import Reading, Writing, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}", tags=["members"])

MembersDep = Annotated[Members, Depends(inject(Members))]


@router.get("/members", summary="Lists the members of a connection.")
async def get_members(member: Viewer, session: Reading) -> MembersOut:
    """The owner comes first, then editors, then viewers."""
    return MembersOut(members=[show_member(one) for one in await list_members(session, member.connection.id)])


@router.patch("/members/{user_id}", responses=declare(LastOwner), summary="Changes the role of a member.")
async def patch_member(
    *,
    user_id: str,
    body: MemberChange,
    member: Owner,
    session: Writing,
    members: MembersDep,
    client_info: ClientInfoDep,
) -> MemberOut:
    """It holds at the member's next request. The owner is changed by `POST …/owner`."""
    return show_member(await members.change_role(session, member, user_id, Role(body.role), client_info))


@router.delete(
    "/members/{user_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=declare(LastOwner),
    summary="Deletes a member, or lets you leave.",
)
async def delete_member(
    user_id: str, member: Viewer, session: Writing, members: MembersDep, client_info: ClientInfoDep
) -> None:
    """With your own id you leave the connection; every other member is removed by an owner only."""
    await members.remove(session, member, user_id, client_info)


@router.post(
    "/owner",
    responses=declare(PlanLimit, ReauthRequired),
    summary="Transfers the ownership of a connection to another member.",
)
async def post_owner(
    *,
    body: OwnerChange,
    member: Owner,
    _: FreshlySignedIn,
    session: Writing,
    members: MembersDep,
    client_info: ClientInfoDep,
) -> MemberOut:
    """Returns the new owner; you become an editor."""
    return show_member(await members.transfer(session, member, body.user_id, client_info))
