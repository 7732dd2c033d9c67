"""Requiring another person's approval than that of who created the agent."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep, FormConfirmationDep
from basewarden.connections.callers import Owner
from basewarden.connections.forms import PageForm
from basewarden.connections.members.action_page import ActionPageDep
from basewarden.connections.members.approval_routes import ApprovalRuleDep
from basewarden.connections.members.view import make_members_path
from basewarden.connections.members.words import describe_approvals
from basewarden.errors import AppError
from basewarden.web import Writing, parse_form, redirect

router = APIRouter(prefix="/c/{connection_id}/members/approvals", include_in_schema=False)


class ApprovalsForm(PageForm):
    by_another: bool


@router.get("")
async def get_approvals(member: Owner, page: ActionPageDep) -> Response:
    return await page.show(describe_approvals(member.connection))


@router.post("")
async def post_approvals(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    rule: ApprovalRuleDep,
    page: ActionPageDep,
    confirmation: FormConfirmationDep,
    client_info: ClientInfoDep,
) -> Response:
    """Turns it on or off: the form names what it wants, so that sending it twice does not turn it back."""
    form = await parse_form(request, ApprovalsForm)
    action = describe_approvals(member.connection)
    if form.data is None:
        return await page.show_again(action, form)
    is_off = not form.data.by_another
    try:
        if is_off:
            await confirmation.confirm(form.typed)
        await rule.change(session, member, client_info, by_another=form.data.by_another, is_fresh=is_off)
    except AppError as error:
        return await page.show_again(action, form, error)
    done = "approvals-own" if is_off else "approvals-another"
    return confirmation.finish(redirect(f"{make_members_path(member)}?done={done}"))
