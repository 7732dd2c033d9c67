"""`/invitations/<token>`: what a person is invited to, and the button that accepts. It works without JavaScript.

With the token alone it shows the connection's name, who invited, and the role; nothing else.
"""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep, Person, SignedIn, Visitor
from basewarden.connections.invitations.acceptance import Acceptance
from basewarden.connections.invitations.errors import (
    AddressUnverified,
    InvitationExpired,
    InvitationUsed,
    OtherAddress,
)
from basewarden.connections.invitations.links import make_invitation_path
from basewarden.connections.invitations.queries import FoundInvitation
from basewarden.connections.invitations.routes import AcceptanceDep
from basewarden.connections.members.words import ROLE_CHOICES
from basewarden.db import ReadSession
from basewarden.errors import AppError, NotFound
from basewarden.web import Pages, PagesDep, Reading, Writing, redirect

router = APIRouter(prefix="/invitations/{token}", include_in_schema=False)

_ENDED = (NotFound, InvitationUsed, InvitationExpired)
_TITLES: dict[type[AppError], str] = {
    NotFound: "This invitation is not valid",
    InvitationUsed: "This invitation was already accepted",
    InvitationExpired: "This invitation has expired",
}
_TEXTS: dict[type[AppError], str] = {
    NotFound: "It may have been revoked or replaced by a newer one, or part of the link is missing.",
    InvitationUsed: "An invitation works once.",
    InvitationExpired: "An invitation works for 7 days.",
}
_DONE = {
    "verify": "We sent a link, unless you requested three in the last six hours. It works for a day.",
    "no-email": "This deployment cannot send email.",
}
_ROLE_TEXTS = {value: text for value, _, text in ROLE_CHOICES}
# As for the links of emails: the token is in the path, and no request of this page may carry more than our origin.
_REFERRER_POLICY = {"referrer-policy": "strict-origin"}


@router.get("")
async def get_invitation(
    *,
    request: Request,
    token: str,
    visitor: Visitor,
    session: Reading,
    pages: PagesDep,
    acceptance: AcceptanceDep,
) -> Response:
    try:
        found = await acceptance.check(session, token)
    except _ENDED as error:
        return _show_ended(request, pages, error, visitor)
    context = _describe(acceptance, found, visitor, token)
    done = _DONE.get(request.query_params.get("done", ""))
    return _keep_token(pages.render(request, "connections/invitations/accept.html", done=done, error=None, **context))


@router.post("")
async def post_invitation(
    *,
    request: Request,
    token: str,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    acceptance: AcceptanceDep,
    client_info: ClientInfoDep,
) -> Response:
    try:
        accepted = await acceptance.accept(session, token, person, client_info)
    except _ENDED as error:
        return _show_ended(request, pages, error, person)
    except AppError as error:
        found = await acceptance.check(ReadSession(session), token)
        context = _describe(acceptance, found, person, token)
        page = pages.render(
            request, "connections/invitations/accept.html", status=error.status, done=None, error=error.text, **context
        )
        return _keep_token(page)
    return redirect(f"/c/{accepted.connection_id}?done=joined")


def _describe(acceptance: Acceptance, found: FoundInvitation, visitor: Person | None, token: str) -> dict[str, Any]:
    return {
        "invitation": found,
        "role_text": _ROLE_TEXTS[found.role.value],
        "visitor": visitor,
        "obstacle": _find_obstacle(acceptance, found, visitor),
        "here": make_invitation_path(token),
    }


def _find_obstacle(acceptance: Acceptance, found: FoundInvitation, visitor: Person | None) -> str | None:
    """The code of what keeps this account from accepting, if it is known before the button is pressed."""
    if visitor is None:
        return None
    try:
        acceptance.check_address(found, visitor)
    except (OtherAddress, AddressUnverified) as error:
        return error.code
    return None


def _show_ended(request: Request, pages: Pages, error: AppError, visitor: Person | None) -> Response:
    page = pages.render(
        request,
        "connections/invitations/ended.html",
        status=error.status,
        title=_TITLES[type(error)],
        message=_TEXTS[type(error)],
        is_signed_in=visitor is not None,
    )
    return _keep_token(page)


def _keep_token(response: Response) -> Response:
    response.headers.update(_REFERRER_POLICY)
    return response
