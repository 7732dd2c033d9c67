"""The page behind the link that verifies an email address. It works without JavaScript.

Opening it changes nothing; its button does. In the browser that signed up, the button also signs in.
"""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.link_pages import BAD_LINK, keep_token, show_bad_link
from basewarden.accounts.return_path import HOME, SETTINGS, second_step_path, signin_path
from basewarden.accounts.signin.callers import DevicesDep, SignInSessionsDep, find_caller
from basewarden.accounts.signin.cookies import set_device_cookie, set_signin_cookies
from basewarden.accounts.signup.cookies import (
    clear_return_cookie,
    read_return_cookie,
    read_signup_cookie,
    set_address_cookie,
)
from basewarden.accounts.signup.service import LinkSignIns
from basewarden.web import PagesDep, Reading, SettingsDep, Writing, anyone, inject, redirect

_ASK_FOR_VERIFICATION = ("Sign in to request a new link", SETTINGS)

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])

LinkSignInsDep = Annotated[LinkSignIns, Depends(inject(LinkSignIns))]


@router.get("/verify-email/{token}")
async def get_verify(
    *,
    request: Request,
    token: str,
    session: Reading,
    pages: PagesDep,
    signins: SignInSessionsDep,
    links: LinkSignInsDep,
    settings: SettingsDep,
) -> Response:
    caller = await find_caller(request, signins)
    try:
        preview = await links.check(session, token, caller, read_signup_cookie(request.scope, settings))
    except BAD_LINK as error:
        return show_bad_link(request, pages, error, _ASK_FOR_VERIFICATION)
    is_signed_in = caller is not None
    page = pages.render(
        request, "accounts/verify.html", email=preview.email, signs_in=preview.signs_in, is_signed_in=is_signed_in
    )
    return keep_token(page)


@router.post("/verify-email/{token}")
async def post_verify(
    *,
    request: Request,
    token: str,
    session: Writing,
    pages: PagesDep,
    signins: SignInSessionsDep,
    links: LinkSignInsDep,
    devices: DevicesDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    caller = await find_caller(request, signins)
    try:
        result = await links.use(
            session,
            token,
            caller,
            client_info,
            cookie=read_signup_cookie(request.scope, settings),
            previous_token=signins.read_token(request.scope),
        )
    except BAD_LINK as error:
        return show_bad_link(request, pages, error, _ASK_FOR_VERIFICATION)
    back_to = read_return_cookie(request.scope, settings)
    if result.signin is not None:
        response = redirect(second_step_path(back_to) if result.signin.needs_mfa else back_to)
        clear_return_cookie(response, settings)
        set_signin_cookies(response, settings, result.signin.tokens)
        set_device_cookie(response, settings, devices.issue(result.email))
        return response
    usual = f"{SETTINGS}?done=verified" if back_to == HOME else back_to
    response = redirect(usual if caller is not None else signin_path(back_to, "verified"))
    clear_return_cookie(response, settings)
    set_address_cookie(response, settings, result.email)
    if result.tokens is not None:
        set_signin_cookies(response, settings, result.tokens)
    return response
