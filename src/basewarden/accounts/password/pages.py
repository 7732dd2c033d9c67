"""Pages: the landing page, sign-up and sign-in. They work without JavaScript."""

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.github.errors import ERROR_MESSAGES
from basewarden.accounts.password.routes import AccountsDep
from basewarden.accounts.password.schemas import SignIn, SignUp
from basewarden.accounts.return_path import HOME, SIGN_IN, safe_path, second_step_path
from basewarden.accounts.signin.callers import DevicesDep, SignInSessionsDep
from basewarden.accounts.signin.cookies import set_device_cookie, set_signin_cookies
from basewarden.accounts.signin.sessions import SignInSessions
from basewarden.errors import AppError, Unauthenticated
from basewarden.web import PagesDep, SettingsDep, Writing, anyone, parse_form, redirect, show_again

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])

_SECRETS = ("password",)
_DONE = {
    "signup": "Sign in with the password you just chose.",
    "signout": "You are signed out.",
    "reset": "Your password was changed, and every browser was signed out. Sign in with the new one.",
    "verified": "Your email address is confirmed.",
}


@router.get("/")
async def get_landing(request: Request, pages: PagesDep, signins: SignInSessionsDep) -> Response:
    if await _is_signed_in(request, signins):
        return redirect(HOME)
    return pages.render(request, "accounts/landing.html")


@router.get("/signup")
async def get_signup(request: Request, pages: PagesDep, signins: SignInSessionsDep) -> Response:
    if await _is_signed_in(request, signins):
        return redirect(HOME)
    return pages.render(request, "accounts/signup.html", typed={}, errors={})


@router.post("/signup")
async def post_signup(
    request: Request, session: Writing, pages: PagesDep, accounts: AccountsDep, client_info: ClientInfoDep
) -> Response:
    form = await parse_form(request, SignUp)
    if form.data is None:
        return show_again(request, pages, "accounts/signup.html", form, never_shown=_SECRETS)
    try:
        await accounts.sign_up(session, form.data, client_info)
    except AppError as error:
        return show_again(request, pages, "accounts/signup.html", form, error, never_shown=_SECRETS)
    return redirect(f"{SIGN_IN}?done=signup")


@router.get("/signin")
async def get_signin(request: Request, pages: PagesDep, signins: SignInSessionsDep) -> Response:
    back_to = safe_path(request.query_params.get("next"))
    if await _is_signed_in(request, signins):
        return redirect(back_to)
    word = request.query_params.get("done", "")
    return pages.render(
        request,
        "accounts/signin.html",
        typed={"next": back_to},
        errors={},
        done=_DONE.get(word),
        error_message=ERROR_MESSAGES.get(word),
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


class SignInForm(SignIn):
    """`next` is the path to return to; it is checked where it is used."""

    next: str = ""


async def _is_signed_in(request: Request, signins: SignInSessions) -> bool:
    """False while the second factor is missing: then the sign-in pages are still needed."""
    try:
        return await signins.find_signed_in(request.scope) is not None
    except Unauthenticated:
        return False
