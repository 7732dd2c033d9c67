"""`/c/<id>/members`: who has access, and what an owner can change. Each dialog is also a page, without script."""

from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep
from basewarden.connections.callers import Owner, Viewer
from basewarden.connections.forms import PageForm
from basewarden.connections.members.action_page import ActionPageDep
from basewarden.connections.members.routes import MembersDep
from basewarden.connections.members.schemas import GrantedRole
from basewarden.connections.members.view import PAGE, MembersViewDep, make_members_path, start_form
from basewarden.connections.members.words import (
    describe_own_removal,
    describe_removal,
    describe_role_change,
    describe_transfer,
)
from basewarden.connections.models import Role
from basewarden.web import DatabaseDep, PagesDep, Reading, Writing, parse_form

router = APIRouter(prefix="/c/{connection_id}/members", include_in_schema=False)

_DONE = {
    "invited": "Invitation sent.",
    "revoked": "Invitation revoked. Its link no longer works.",
    "role": "Role changed. It holds at their next request.",
    "removed": "Member removed.",
    "owner": "Ownership transferred. You are an editor now.",
    "two-factor-on": "Two-factor authentication is required now.",
    "two-factor-off": "Two-factor authentication is no longer required.",
    "approvals-another": "Another person must approve now than the one who created the agent.",
    "approvals-own": "Who created an agent can approve what it proposes now.",
}


class MemberRoleForm(PageForm):
    role: GrantedRole


@router.get("")
async def get_members(request: Request, session: Reading, pages: PagesDep, view: MembersViewDep) -> Response:
    context = {**await view.describe(session), "done": _DONE.get(request.query_params.get("done", ""))}
    return pages.render(request, PAGE, **start_form(), **context)


@router.get("/leave")
async def get_leave(member: Viewer, page: ActionPageDep) -> Response:
    return await page.show(describe_own_removal(member.connection))


@router.post("/leave")
async def post_leave(
    *,
    request: Request,
    member: Viewer,
    session: Writing,
    members: MembersDep,
    page: ActionPageDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, PageForm)
    change = partial(members.remove, session, member, str(member.person.id), client_info)
    return await page.submit(describe_own_removal(member.connection), form, change, "/connections?done=left")


@router.get("/{user_id}/role")
async def get_role(user_id: str, member: Owner, session: Reading, members: MembersDep, page: ActionPageDep) -> Response:
    found = await members.get(session, member.connection.id, user_id)
    return await page.show(describe_role_change(found), found.role.value)


@router.post("/{user_id}/role")
async def post_role(
    *,
    request: Request,
    user_id: str,
    member: Owner,
    session: Writing,
    members: MembersDep,
    page: ActionPageDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, MemberRoleForm)
    found = await members.get(session, member.connection.id, user_id)
    action, role = describe_role_change(found), found.role.value
    if form.data is None:
        return await page.show_again(action, form, role=role)
    change = partial(members.change_role, session, member, user_id, Role(form.data.role), client_info)
    return await page.submit(action, form, change, f"{make_members_path(member)}?done=role", role=role)


@router.get("/{user_id}/remove")
async def get_remove(
    user_id: str, member: Owner, session: Reading, members: MembersDep, page: ActionPageDep
) -> Response:
    return await page.show(describe_removal(await members.get(session, member.connection.id, user_id)))


@router.post("/{user_id}/remove")
async def post_remove(
    *,
    request: Request,
    user_id: str,
    member: Owner,
    session: Writing,
    members: MembersDep,
    page: ActionPageDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, PageForm)
    found = await members.get(session, member.connection.id, user_id)
    change = partial(members.remove, session, member, user_id, client_info)
    return await page.submit(describe_removal(found), form, change, f"{make_members_path(member)}?done=removed")


@router.get("/{user_id}/owner")
async def get_owner(
    user_id: str, member: Owner, session: Reading, members: MembersDep, page: ActionPageDep
) -> Response:
    return await page.show(describe_transfer(await members.get(session, member.connection.id, user_id)))


@router.post("/{user_id}/owner")
async def post_owner(
    *,
    request: Request,
    user_id: str,
    member: Owner,
    session: Writing,
    database: DatabaseDep,
    members: MembersDep,
    page: ActionPageDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, PageForm)
    async with database.read_only() as reading:
        found = await members.get(reading, member.connection.id, user_id)
    change = partial(members.transfer, session, member, user_id, client_info)
    return await page.submit(describe_transfer(found), form, change, f"{make_members_path(member)}?done=owner")
