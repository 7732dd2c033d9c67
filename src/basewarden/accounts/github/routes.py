"""The redirects to GitHub and back, and JSON: `/api/account/github…`. All are 404 where GitHub is not configured."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import RedirectResponse

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import MfaRequired, ReauthRequired
from basewarden.accounts.github.client import CALLBACK
from basewarden.accounts.github.errors import EmailHasAccount, GitHubError, GitHubStale
from basewarden.accounts.github.service import AuthorizationRequest, CallbackQuery, GitHub
from basewarden.accounts.github.states import TTL, AuthorizationPurpose, PendingAuthorization
from basewarden.accounts.return_path import HOME, confirm_path, safe_path, second_step_path, signin_path
from basewarden.accounts.signin.callers import FreshlySignedIn, SignInSessionsDep, find_caller
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.signin.sessions import Person
from basewarden.errors import AppError, Conflict, Forbidden, NotFound, TooMany, Unauthenticated, Unavailable
from basewarden.settings import Settings
from basewarden.web import SettingsDep, Writing, anyone, clear_cookie, declare, inject, redirect, set_cookie

PAGE = "/settings/account/github"
_COOKIE = "basewarden.github"

router = APIRouter()
entrance = APIRouter(tags=["auth"], dependencies=[Depends(anyone)])
own = APIRouter(prefix="/api/account/github", tags=["account"])


async def require_github(github: Annotated[GitHub, Depends(inject(GitHub))]) -> GitHub:
    if not github.is_configured:
        raise NotFound
    return github


GitHubDep = Annotated[GitHub, Depends(require_github)]


class AuthorizationLink(BaseModel):
    """`url` is where the browser goes next."""

    url: str


@entrance.get(
    "/api/auth/github/start",
    status_code=HTTPStatus.SEE_OTHER,
    response_class=RedirectResponse,
    responses=declare(NotFound, TooMany, Unavailable),
    summary="Redirects the browser to GitHub to sign in.",
)
async def get_start(
    github: GitHubDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
    next: str = HOME,  # noqa: A002 - the pages' name
) -> Response:
    authorization = await github.start_authorization(AuthorizationPurpose.SIGNING_IN, client_info, back_to=next)
    response = RedirectResponse(authorization.url, status_code=HTTPStatus.SEE_OTHER)
    set_browser_cookie(response, settings, authorization)
    return response


@entrance.get(
    CALLBACK,
    status_code=HTTPStatus.SEE_OTHER,
    response_class=RedirectResponse,
    responses=declare(NotFound, Unavailable),
    summary="Receives the browser from GitHub, and redirects it to a page.",
)
async def get_callback(
    *,
    request: Request,
    session: Writing,
    github: GitHubDep,
    signins: SignInSessionsDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
    state: str = "",
    code: str = "",
    error: str = "",
) -> Response:
    """Always redirects to a page: the query string may come from anyone."""
    query = CallbackQuery(state, code, error)
    person = await find_caller(request, signins)
    try:
        pending = await github.consume_state(query, request.cookies.get(cookie_name(settings), ""))
    except GitHubStale as failure:
        return redirect(_error_path(failure, person))
    earlier = signins.read_token(request.scope)
    try:
        result = await github.finish_authorization(
            session, pending, query, client_info, person=person, previous_token=earlier
        )
    except (GitHubError, TooMany) as failure:
        response = redirect(_error_path(failure, person, pending))
    except Unauthenticated:  # signed out in another tab meanwhile
        response = redirect(_error_path(GitHubStale(), None))
    else:
        response = redirect(_find_goal(pending, needs_mfa=result.needs_mfa))
        set_signin_cookies(response, settings, result.tokens)
    clear_cookie(response, settings, cookie_name(settings))
    return response


@own.post(
    "/link",
    responses=declare(Forbidden, Unavailable, Unauthenticated, MfaRequired, ReauthRequired, NotFound, TooMany),
    summary="Starts to link a GitHub account.",
)
async def post_link(
    person: FreshlySignedIn, response: Response, github: GitHubDep, settings: SettingsDep, client_info: ClientInfoDep
) -> AuthorizationLink:
    """The account is linked when the browser returns from GitHub with the same person signed in."""
    authorization = await github.start_authorization(
        AuthorizationPurpose.LINKING, client_info, person=person, back_to=PAGE
    )
    set_browser_cookie(response, settings, authorization)
    return AuthorizationLink(url=authorization.url)


@own.delete(
    "",
    status_code=HTTPStatus.NO_CONTENT,
    responses=declare(Forbidden, Unavailable, Unauthenticated, MfaRequired, ReauthRequired, NotFound, Conflict),
    summary="Unlinks your GitHub account.",
)
async def delete_link(
    *,
    person: FreshlySignedIn,
    response: Response,
    session: Writing,
    github: GitHubDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> None:
    """Every other sign-in session ends. It answers 409 where GitHub is the only way to sign in."""
    set_signin_cookies(response, settings, await github.unlink(session, person, client_info))


router.include_router(entrance)
router.include_router(own)


def cookie_name(settings: Settings) -> str:
    return f"__Host-{_COOKIE}" if settings.is_https else _COOKIE


def set_browser_cookie(response: Response, settings: Settings, authorization: AuthorizationRequest) -> None:
    seconds = int(TTL.total_seconds())
    set_cookie(response, settings, cookie_name(settings), authorization.browser, seconds=seconds)


def _find_goal(pending: PendingAuthorization, *, needs_mfa: bool) -> str:
    if pending.purpose is AuthorizationPurpose.LINKING:
        return f"{PAGE}?done=linked"
    back_to = safe_path(pending.back_to)
    return second_step_path(back_to) if needs_mfa else back_to


def _error_path(failure: AppError, person: Person | None, pending: PendingAuthorization | None = None) -> str:
    """The page that shows the error, where the person can continue."""
    back_to = safe_path(pending.back_to) if pending else HOME
    if person is None:
        goal = PAGE if isinstance(failure, EmailHasAccount) else back_to
        return f"{signin_path(goal)}&done={quote(failure.code)}"
    if pending is not None and pending.purpose is AuthorizationPurpose.CONFIRMING:
        return f"{confirm_path(back_to)}&done={quote(failure.code)}"
    return f"{PAGE}?done={quote(failure.code)}"
