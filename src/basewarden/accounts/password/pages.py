"""Pages: the landing page, sign-up and sign-in. They work without JavaScript."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.github.errors import ERROR_MESSAGES
from basewarden.accounts.password.routes import AccountsDep
from basewarden.accounts.password.schemas import SignIn, SignUp
from basewarden.accounts.return_path import HOME, SIGN_UP, safe_path, second_step_path, signin_path
from basewarden.accounts.signin.callers import DevicesDep, SignInSessionsDep
from basewarden.accounts.signin.cookies import set_device_cookie, set_signin_cookies
from basewarden.accounts.signin.sessions import SignInSessions
from basewarden.accounts.signup.browsers import SignUpBrowsers
from basewarden.accounts.signup.cookies import (
    read_address_cookie,
    read_return_cookie,
    set_address_cookie,
    set_return_cookie,
    set_signup_cookie,
)
from basewarden.errors import AppError, Unauthenticated
from basewarden.web import PagesDep, SettingsDep, Writing, anyone, inject, parse_form, redirect, show_again

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])

SignUpBrowsersDep = Annotated[SignUpBrowsers, Depends(inject(SignUpBrowsers))]

_SECRETS = ("password",)
_DONE = {
    "signout": "You are signed out.",
    "reset": "Your password was changed, and every browser was signed out. Sign in with the new one.",
    "verified": "Your email address is confirmed. Sign in to continue.",
}
_KNOWS_ADDRESS = frozenset({"signup", "reset", "verified"})  # what has just happened to the address in the cookie


@router.get("/")
async def get_landing(request: Request, pages: PagesDep, signins: SignInSessionsDep) -> Response:
    if await _is_signed_in(request, signins):
        return redirect(HOME)
    return pages.render(request, "accounts/landing.html")


@router.get(SIGN_UP)
async def get_signup(
    request: Request, pages: PagesDep, signins: SignInSessionsDep, accounts: AccountsDep, settings: SettingsDep
) -> Response:
    back_to = safe_path(request.query_params.get("next"))
    if await _is_signed_in(request, signins):
        return redirect(back_to)
    if request.query_params.get("done") == "sent" and accounts.sends_emails:
        return pages.render(
            request,
            "accounts/signup_sent.html",
            email=read_address_cookie(request.scope, settings),
            signin_href=signin_path(read_return_cookie(request.scope, settings), "signup"),
        )
    return pages.render(request, "accounts/signup.html", typed={"next": back_to}, errors={})


@router.post(SIGN_UP)
async def post_signup(
    *,
    request: Request,
    session: Writing,
    pages: PagesDep,
    accounts: AccountsDep,
    signins: SignInSessionsDep,
    settings: SettingsDep,
    devices: DevicesDep,
    browsers: SignUpBrowsersDep,
    client_info: ClientInfoDep,
) -> Response:
    """The response is the same for an address that has an account; only the first account of all is signed in here."""
    form = await parse_form(request, SignUpForm)
    if form.data is None:
        return show_again(request, pages, "accounts/signup.html", form, never_shown=_SECRETS)
    try:
        result = await accounts.sign_up(session, form.data, client_info)
    except AppError as error:
        return show_again(request, pages, "accounts/signup.html", form, error, never_shown=_SECRETS)
    back_to = safe_path(form.data.next)
    if result.is_first:
        earlier = signins.read_token(request.scope)
        tokens = await accounts.open_first(session, result.user_id, client_info, previous_token=earlier)
        response = redirect(back_to)
        set_signin_cookies(response, settings, tokens)
        set_device_cookie(response, settings, devices.issue(form.data.email))
        return response
    response = redirect(f"{SIGN_UP}?done=sent" if accounts.sends_emails else signin_path(back_to, "signup"))
    set_return_cookie(response, settings, back_to)
    set_signup_cookie(response, settings, browsers.issue(result.user_id))
    set_address_cookie(response, settings, form.data.email)
    return response


@router.get("/signin")
async def get_signin(request: Request, pages: PagesDep, signins: SignInSessionsDep, settings: SettingsDep) -> Response:
    back_to = safe_path(request.query_params.get("next"))
    if await _is_signed_in(request, signins):
        return redirect(back_to)
    word = request.query_params.get("done", "")
    email = read_address_cookie(request.scope, settings) if word in _KNOWS_ADDRESS else ""
    return pages.render(
        request,
        "accounts/signin.html",
        typed={"next": back_to, "email": email},
        errors={},
        done=_DONE.get(word),
        error_message=ERROR_MESSAGES.get(word),
        is_new=word == "signup",
    )


@router.post("/signin")
async def post_signin(
    *,
    request: Request,
    session: Writing,
    pages: PagesDep,
    accounts: AccountsDep,
    signins: SignInSessionsDep,
    settings: SettingsDep,
    devices: DevicesDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, SignInForm)
    if form.data is None:
        return show_again(request, pages, "accounts/signin.html", form, never_shown=_SECRETS, done=None)
    try:
        result = await accounts.sign_in(
            session,
            form.data,
            client_info,
            previous_token=signins.read_token(request.scope),
            device=devices.read(request.scope),
        )
    except AppError as error:
        return show_again(request, pages, "accounts/signin.html", form, error, never_shown=_SECRETS, done=None)
    back_to = safe_path(form.data.next)
    response = redirect(second_step_path(back_to) if result.needs_mfa else back_to)
    set_signin_cookies(response, settings, result.tokens)
    set_device_cookie(response, settings, devices.issue(form.data.email))
    return response


class SignUpForm(SignUp):
    """`next` is the path to go on to; it is checked where it is used."""

    next: str = ""


class SignInForm(SignIn):
    """`next` is the path to return to; it is checked where it is used."""

    next: str = ""


async def _is_signed_in(request: Request, signins: SignInSessions) -> bool:
    """False while the second factor is missing: then the sign-in pages are still needed."""
    try:
        return await signins.find_signed_in(request.scope) is not None
    except Unauthenticated:
        return False
