"""Pages: the account's settings with their forms, and its activity. They work without JavaScript.

Forms that need a fresh sign-in are shown with one only. Where the sign-in is no longer fresh when a form is sent, the
form is shown again with the typed values and a link to confirm the identity.
"""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import BadPassword, OAuthOnly, ReauthRequired
from basewarden.accounts.password.routes import AccountsDep, ChangePassword
from basewarden.accounts.password.schemas import SentPassword, reveal
from basewarden.accounts.profile.routes import Name, ProfilesDep, ProfileUpdate
from basewarden.accounts.return_path import SETTINGS, confirm_beside_path, confirm_path, safe_path
from basewarden.accounts.signin.callers import SignedIn
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.signin.routes import SessionListDep
from basewarden.accounts.signin.sessions import Person
from basewarden.accounts.signup.cookies import set_return_cookie
from basewarden.accounts.verification.routes import ChangeEmail, EmailChangeDep, VerificationDep
from basewarden.audit import EventGroup, list_events
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import AppError, Conflict, Invalid, TooMany
from basewarden.web import (
    AddressParameters,
    Form,
    Pages,
    PagesDep,
    Reading,
    SettingsDep,
    Writing,
    parse_form,
    redirect,
    show_again,
)

router = APIRouter(include_in_schema=False)

ACTIVITY = f"{SETTINGS}/activity"
_ACCOUNT = "accounts/settings/account.html"
_SECRETS = ("password", "currentPassword", "newPassword")
_EVENTS_A_PAGE = 50
_GROUPS = (
    (EventGroup.SIGN_INS, "Sign-ins"),
    (EventGroup.ACCOUNT, "Account"),
    (EventGroup.CONNECTIONS, "Connections and agents"),
)
_LARGEST_ID = 2**63 - 1
_DONE = {
    "name": "Name saved.",
    "password": "Password changed. Every other browser was signed out.",
    "password-set": "Password set. Every other browser was signed out.",
    "email": "We sent a link to the new address. The address changes when you use the link.",
    "verify": "We sent a link, unless you requested three in the last six hours. It works for a day.",
    "verified": "The email address is confirmed.",
    "confirmed": "Identity confirmed. If a form is open in another tab, go back to it and submit it again.",
    "no-email": "This deployment cannot send email, so nothing was changed.",
}


class SetPasswordForm(BaseModel):
    newPassword: SentPassword  # noqa: N815 - as in the form that changes it


class VerifyForm(BaseModel):
    """`next` is checked where it is used."""

    next: str = ""


class RenameForm(ProfileUpdate):
    """An empty name is allowed."""

    name: Name = ""


@dataclass(frozen=True, slots=True)
class _Overview:
    """Finds what the account's page shows beside its forms."""

    profiles: ProfilesDep
    own: SessionListDep

    async def describe(self, session: ReadSession | WriteSession, person: Person) -> dict[str, Any]:
        reading = ReadSession(session)
        return {
            "settings_tab": "account",
            "profile": await self.profiles.describe(reading, person.id),
            "signins": len(await self.own.list_alive(reading, person)),
            "last_event": next(iter(await list_events(reading, person.audit_id, limit=1)), None),
            "is_fresh": person.is_fresh,
            "confirm_href": confirm_path(SETTINGS),
            "confirm_beside_href": confirm_beside_path(),
        }


OverviewDep = Annotated[_Overview, Depends(_Overview)]


@router.get(SETTINGS)
async def get_account(
    request: Request, person: SignedIn, session: Reading, pages: PagesDep, overview: OverviewDep
) -> Response:
    context = await overview.describe(session, person)
    typed = {"name": person.name}
    return pages.render(
        request, _ACCOUNT, typed=typed, errors={}, has_gone_stale=False, done=_find_done(request), **context
    )


@router.post(f"{SETTINGS}/name")
async def post_name(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    profiles: ProfilesDep,
    overview: OverviewDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, RenameForm)
    if form.data is None:
        return await _show_account_again(request, session, pages, form, overview, person)
    await profiles.rename(session, person, form.data.name, client_info)
    return redirect(f"{SETTINGS}?done=name")


@router.post(f"{SETTINGS}/email")
async def post_email(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    change: EmailChangeDep,
    overview: OverviewDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, ChangeEmail)
    if not person.is_fresh:
        return await _show_account_again(request, session, pages, form, overview, person, ReauthRequired())
    if form.data is None:
        return await _show_account_again(request, session, pages, form, overview, person)
    try:
        await change.start(session, person, form.data.email, client_info)
    except (Invalid, TooMany) as error:
        return await _show_account_again(request, session, pages, form, overview, person, error)
    return redirect(f"{SETTINGS}?done={'email' if change.is_configured else 'no-email'}")


@router.post(f"{SETTINGS}/verify")
async def post_verify(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    verification: VerificationDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    """Sends the link again; there is nothing to send where the address is verified already.

    `next` is the page that waits for it, to which the link then leads in this browser.
    """
    form = await parse_form(request, VerifyForm)
    back_to = safe_path(form.data.next) if form.data is not None and form.data.next else SETTINGS
    await verification.start(session, person, client_info)
    if person.is_verified:
        return redirect(back_to)
    response = redirect(f"{urlsplit(back_to).path}?done={'verify' if verification.is_configured else 'no-email'}")
    if back_to != SETTINGS:
        set_return_cookie(response, settings, back_to)
    return response


@router.post(f"{SETTINGS}/password")
async def post_password(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    accounts: AccountsDep,
    overview: OverviewDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    """Every refusal comes before the first write, so that the unit of work may be committed with the page."""
    form = await parse_form(request, ChangePassword)
    if form.data is None:
        return await _show_account_again(request, session, pages, form, overview, person)
    current, new = reveal(form.data.currentPassword), reveal(form.data.newPassword)
    try:
        tokens = await accounts.change_password(session, person, current, new, client_info)
    except BadPassword as error:
        form = form.with_error(error.text, "currentPassword")
        return await _show_account_again(request, session, pages, form, overview, person)
    except (Invalid, TooMany, OAuthOnly) as error:
        return await _show_account_again(request, session, pages, form, overview, person, error)
    response = redirect(f"{SETTINGS}?done=password")
    set_signin_cookies(response, settings, tokens)
    return response


@router.post(f"{SETTINGS}/set-password")
async def post_set_password(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    accounts: AccountsDep,
    overview: OverviewDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    """Sets the first password of an account that signs in with GitHub or a passkey."""
    form = await parse_form(request, SetPasswordForm)
    if form.data is None:
        return await _show_account_again(request, session, pages, form, overview, person)
    try:
        tokens = await accounts.set_password(session, person, reveal(form.data.newPassword), client_info)
    except (Invalid, Conflict, ReauthRequired) as error:
        return await _show_account_again(request, session, pages, form, overview, person, error)
    response = redirect(f"{SETTINGS}?done=password-set")
    set_signin_cookies(response, settings, tokens)
    return response


class ListedActivity(AddressParameters):
    """The parameters of the activity's address; without `about` it lists everything."""

    about: str = ""


@router.get(ACTIVITY)
async def get_activity(
    request: Request,
    person: SignedIn,
    session: Reading,
    pages: PagesDep,
    before: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None,
    about: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    group = EventGroup(about) if about in list(EventGroup) else None
    events = await list_events(session, person.audit_id, before=before, limit=_EVENTS_A_PAGE + 1, group=group)
    shown = events[:_EVENTS_A_PAGE]
    first_href = ACTIVITY + ListedActivity(about=group or "").encode()
    return pages.render(
        request,
        "accounts/settings/activity.html",
        settings_tab="activity",
        events=shown,
        is_first=before is None,
        first_href=first_href,
        about=group or "",
        groups=_GROUPS,
        next_href=ACTIVITY + ListedActivity(about=group or "").encode(before=shown[-1].id)
        if len(events) > _EVENTS_A_PAGE
        else None,
    )


async def _show_account_again(
    request: Request,
    session: WriteSession,
    pages: Pages,
    form: Form[Any],
    overview: _Overview,
    person: Person,
    error: AppError | None = None,
) -> Response:
    """The other forms of the page show the stored values."""
    context = await overview.describe(session, person)
    shown: Form[Any] = Form({"name": person.name, **form.typed}, None, form.errors)
    return show_again(
        request,
        pages,
        _ACCOUNT,
        shown,
        error,
        never_shown=_SECRETS,
        has_gone_stale=isinstance(error, ReauthRequired),
        done=None,
        **context,
    )


def _find_done(request: Request) -> str | None:
    return _DONE.get(request.query_params.get("done", ""))
