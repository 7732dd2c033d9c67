"""The forms for invitations on the members' page of a connection. They work without JavaScript."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep
from basewarden.connections.callers import Membership, Owner
from basewarden.connections.forms import PageForm
from basewarden.connections.invitations.routes import InvitationsDep
from basewarden.connections.invitations.schemas import InvitationCreate
from basewarden.connections.invitations.service import SentInvitation
from basewarden.connections.members.action_page import ActionPageDep
from basewarden.connections.members.view import PAGE, MembersView, MembersViewDep, make_members_path, start_form
from basewarden.connections.members.words import describe_revocation
from basewarden.db import WriteSession
from basewarden.errors import AppError
from basewarden.web import Pages, PagesDep, Reading, Writing, parse_form, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}/members/invitations", include_in_schema=False)


class InvitationForm(InvitationCreate, PageForm):
    """The form of the members' page."""


@router.post("")
async def post_invitation(
    *,
    request: Request,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    view: MembersViewDep,
    invitations: InvitationsDep,
    client_info: ClientInfoDep,
) -> Response:
    """Without mail it does not redirect, because only this response contains the link."""
    form = await parse_form(request, InvitationForm)
    if form.data is None:
        return show_again(request, pages, PAGE, form, **await view.describe(session))
    try:
        sent = await invitations.invite(session, member, form.data.as_invited(), client_info)
    except AppError as error:
        return show_again(request, pages, PAGE, form, error, **await view.describe(session))
    return await _show_sent(request, member, session, pages, view, sent)


@router.post("/{invitation_id}/resend")
async def post_resend(
    *,
    request: Request,
    invitation_id: str,
    member: Owner,
    session: Writing,
    pages: PagesDep,
    view: MembersViewDep,
    invitations: InvitationsDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, PageForm)
    try:
        sent = await invitations.resend(session, member, invitation_id, client_info)
    except AppError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            raise
        return show_again(request, pages, PAGE, form, error, **await view.describe(session))
    return await _show_sent(request, member, session, pages, view, sent)


@router.get("/{invitation_id}/revoke")
async def get_revoke(
    invitation_id: str, member: Owner, session: Reading, invitations: InvitationsDep, page: ActionPageDep
) -> Response:
    return await page.show(describe_revocation(await invitations.get(session, member.connection.id, invitation_id)))


@router.post("/{invitation_id}/revoke")
async def post_revoke(
    invitation_id: str, member: Owner, session: Writing, invitations: InvitationsDep, client_info: ClientInfoDep
) -> Response:
    await invitations.revoke(session, member, invitation_id, client_info)
    return redirect(f"{make_members_path(member)}?done=revoked")


async def _show_sent(
    request: Request,
    member: Membership,
    session: WriteSession,
    pages: Pages,
    view: MembersView,
    sent: SentInvitation,
) -> Response:
    if sent.accept_url is None:
        return redirect(f"{make_members_path(member)}?done=invited")
    context = {**await view.describe(session), "sent": sent}
    return pages.render(request, PAGE, status=HTTPStatus.CREATED, **start_form(), **context)
