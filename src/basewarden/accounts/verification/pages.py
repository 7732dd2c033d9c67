"""The page behind the link that verifies an email address. It works without JavaScript."""

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.link_pages import BAD_LINK, keep_token, show_bad_link
from basewarden.accounts.return_path import SETTINGS, SIGN_IN
from basewarden.accounts.signin.callers import SignInSessionsDep, find_caller
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.verification.routes import VerificationDep
from basewarden.web import PagesDep, Reading, SettingsDep, Writing, anyone, redirect

_ASK_FOR_VERIFICATION = ("Sign in and request a new link", SETTINGS)

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("/verify-email/{token}")
async def get_verify(
    request: Request, token: str, session: Reading, pages: PagesDep, verification: VerificationDep
) -> Response:
    try:
        email = await verification.check_link(session, token)
    except BAD_LINK as error:
        return show_bad_link(request, pages, error, _ASK_FOR_VERIFICATION)
    return keep_token(pages.render(request, "accounts/verify.html", email=email))


@router.post("/verify-email/{token}")
async def post_verify(
    *,
    request: Request,
    token: str,
    session: Writing,
    pages: PagesDep,
    signins: SignInSessionsDep,
    verification: VerificationDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    try:
        tokens = await verification.confirm(session, token, await find_caller(request, signins), client_info)
    except BAD_LINK as error:
        return show_bad_link(request, pages, error, _ASK_FOR_VERIFICATION)
    response = redirect(f"{SIGN_IN}?done=verified&next={SETTINGS}")
    if tokens is not None:
        set_signin_cookies(response, settings, tokens)
    return response
