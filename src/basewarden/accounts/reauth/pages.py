"""The page that asks a signed-in person to confirm their identity before a dangerous action."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import BadPassword, OAuthOnly
from basewarden.accounts.github.errors import ERROR_MESSAGES
from basewarden.accounts.password.schemas import SentPassword, reveal
from basewarden.accounts.profile.routes import ProfilesDep
from basewarden.accounts.reauth.routes import ReauthDep
from basewarden.accounts.return_path import CONFIRM, SETTINGS, safe_path
from basewarden.accounts.signin.callers import SignedIn
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.db import ReadSession
from basewarden.errors import AppError, TooMany
from basewarden.web import PagesDep, Reading, SettingsDep, Writing, parse_form, redirect, show_again

_CONFIRM = "accounts/settings/confirm.html"
_SECRETS = ("password",)
_TAB = "confirm"  # none of the list: the person goes on to another page

router = APIRouter(include_in_schema=False)


class ConfirmForm(BaseModel):
    """`next` is the path to return to; it is checked where it is used."""

    password: SentPassword
    next: str = ""


@router.get(CONFIRM)
async def get_confirm(
    request: Request, person: SignedIn, session: Reading, pages: PagesDep, profiles: ProfilesDep
) -> Response:
    """Redirects at once where the sign-in is still fresh."""
    back_to = _find_goal(request.query_params.get("next"))
    if person.is_fresh:
        return redirect(back_to)
    profile = await profiles.describe(session, person.id)
    error_message = ERROR_MESSAGES.get(request.query_params.get("done", ""))
    return pages.render(
        request,
        _CONFIRM,
        typed={},
        errors={},
        profile=profile,
        back_to=back_to,
        error_message=error_message,
        settings_tab=_TAB,
    )


@router.post(CONFIRM)
async def post_confirm(
    *,
    request: Request,
    person: SignedIn,
    session: Writing,
    pages: PagesDep,
    profiles: ProfilesDep,
    reauth: ReauthDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, ConfirmForm)
    back_to = _find_goal(form.typed.get("next"))
    error: AppError | None = None
    try:
        if form.data is not None:
            tokens = await reauth.confirm(session, person, reveal(form.data.password), client_info)
            response = redirect(back_to)
            set_signin_cookies(response, settings, tokens)
            return response
    except BadPassword as refused:
        form = form.with_error(refused.text, "password")
    except (TooMany, OAuthOnly) as refused:
        error = refused
    profile = await profiles.describe(ReadSession(session), person.id)
    context: dict[str, Any] = {"profile": profile, "back_to": back_to, "error_message": None, "settings_tab": _TAB}
    return show_again(request, pages, _CONFIRM, form, error, never_shown=_SECRETS, **context)


def _find_goal(next_path: str | None) -> str:
    return safe_path(next_path or SETTINGS)
