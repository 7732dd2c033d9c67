"""Requiring two-factor authentication of members, and the page that a member without it is led to."""

from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep
from basewarden.connections.callers import MemberWithoutFactor, Owner, needs_second_factor
from basewarden.connections.forms import PageForm
from basewarden.connections.members.action_page import ActionPageDep
from basewarden.connections.members.queries import list_members
from basewarden.connections.members.two_factor_routes import TwoFactorRuleDep
from basewarden.connections.members.view import make_members_path
from basewarden.connections.members.words import describe_two_factor
from basewarden.web import DatabaseDep, PagesDep, Reading, Writing, parse_form, redirect

router = APIRouter(prefix="/c/{connection_id}", include_in_schema=False)


class TwoFactorForm(PageForm):
    required: bool


@router.get("/two-factor")
async def get_two_factor_needed(request: Request, member: MemberWithoutFactor, pages: PagesDep) -> Response:
    """Says why the connection does not open, and leads to the set-up."""
    if not needs_second_factor(member.connection, member.person):
        return redirect(f"/c/{member.connection.id}")
    return pages.render(request, "connections/members/two_factor_needed.html", locked=member.connection)


@router.get("/members/two-factor")
async def get_two_factor(member: Owner, session: Reading, page: ActionPageDep) -> Response:
    return await page.show(describe_two_factor(member.connection, await list_members(session, member.connection.id)))


@router.post("/members/two-factor")
async def post_two_factor(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    database: DatabaseDep,
    rule: TwoFactorRuleDep,
    page: ActionPageDep,
    client_info: ClientInfoDep,
) -> Response:
    """Turns it on or off: the form names what it wants, so that sending it twice does not turn it back."""
    form = await parse_form(request, TwoFactorForm)
    async with database.read_only() as reading:
        members = await list_members(reading, member.connection.id)
    action = describe_two_factor(member.connection, members)
    if form.data is None:
        return await page.show_again(action, form)
    change = partial(rule.change, session, member, client_info, is_required=form.data.required)
    done = "two-factor-on" if form.data.required else "two-factor-off"
    return await page.submit(action, form, change, f"{make_members_path(member)}?done={done}")
