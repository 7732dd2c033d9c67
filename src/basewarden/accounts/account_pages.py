"""The pages behind the links of letters, and the one that asks for a link. All of it works without script.

A letter's link is opened by scanners too: opening uses nothing up, only the button does.
"""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.account_routes import Forgot, TheResets, TheVerification, find_caller, reveal
from basewarden.accounts.callers import TheSignins
from basewarden.accounts.errors import LinkExpired, LinkUsed
from basewarden.accounts.return_path import SETTINGS, SIGN_IN
from basewarden.accounts.routes import TheDevices, TheSettings, set_device_cookie, set_signin_cookies
from basewarden.accounts.service import SentPassword
from basewarden.accounts.where import FromWhere
from basewarden.errors import AppError, Invalid, NotFound
from basewarden.web import Pages, Reading, Writing, anyone, inject, redirect
from basewarden.web.forms import parse_form, show_again

# The token is in the path: no request that this page makes carries more than our origin. `no-referrer` would say less,
# and would also have browsers send the form with `Origin: null`, which is refused.
_REFERRER_POLICY = {"referrer-policy": "strict-origin"}
_BAD_LINK = (NotFound, LinkUsed, LinkExpired)
_BAD_LINK_TITLES = {
    NotFound: "This link leads nowhere",
    LinkUsed: "This link was used already",
    LinkExpired: "This link is no longer good",
}
_ASK_FOR_RESET = ("Ask for a new link", "/forgot")
_ASK_FOR_VERIFICATION = ("Sign in and ask for a new link", SETTINGS)


router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])

ThePages = Annotated[Pages, Depends(inject(Pages))]


class NewPassword(BaseModel):
    password: SentPassword


@router.get("/forgot")
async def get_forgot(request: Request, pages: ThePages, resets: TheResets) -> Response:
    is_sent = request.query_params.get("done") == "sent"
    return pages.render(
        request, "accounts/forgot.html", typed={}, errors={}, is_sent=is_sent, is_configured=resets.is_configured
    )


@router.post("/forgot")
async def post_forgot(
    request: Request, session: Writing, pages: ThePages, resets: TheResets, where: FromWhere
) -> Response:
    form = await parse_form(request, Forgot)
    if form.data is None:
        return show_again(
            request, pages, "accounts/forgot.html", form, is_sent=False, is_configured=resets.is_configured
        )
    await resets.ask(session, form.data.email, where)
    return redirect("/forgot?done=sent")


@router.get("/reset/{token}")
async def get_reset(request: Request, token: str, pages: ThePages, resets: TheResets) -> Response:
    try:
        user = await resets.look_at(token)
    except _BAD_LINK as error:
        return _show_bad_link(request, pages, error, _ASK_FOR_RESET)
    return _keep_token(pages.render(request, "accounts/reset.html", errors={}, email=user.email))


@router.post("/reset/{token}")
async def post_reset(
    *,
    request: Request,
    token: str,
    session: Writing,
    pages: ThePages,
    resets: TheResets,
    devices: TheDevices,
    settings: TheSettings,
    where: FromWhere,
) -> Response:
    form = await parse_form(request, NewPassword)
    try:
        user = await resets.look_at(token)
        if form.data is None:
            return _keep_token(show_again(request, pages, "accounts/reset.html", form, email=user.email))
        email = await resets.reset(session, token, reveal(form.data.password), where)
    except _BAD_LINK as error:
        return _show_bad_link(request, pages, error, _ASK_FOR_RESET)
    except Invalid as error:
        return _keep_token(show_again(request, pages, "accounts/reset.html", form, error, email=user.email))
    response = redirect(f"{SIGN_IN}?done=reset")
    set_device_cookie(response, settings, devices.issue(email))
    return response


@router.get("/verify-email/{token}")
async def get_verify(
    request: Request, token: str, session: Reading, pages: ThePages, verification: TheVerification
) -> Response:
    try:
        email = await verification.look_at(session, token)
    except _BAD_LINK as error:
        return _show_bad_link(request, pages, error, _ASK_FOR_VERIFICATION)
    return _keep_token(pages.render(request, "accounts/verify.html", email=email))


@router.post("/verify-email/{token}")
async def post_verify(
    *,
    request: Request,
    token: str,
    session: Writing,
    pages: ThePages,
    signins: TheSignins,
    verification: TheVerification,
    settings: TheSettings,
    where: FromWhere,
) -> Response:
    try:
        tokens = await verification.confirm(session, token, await find_caller(request, signins), where)
    except _BAD_LINK as error:
        return _show_bad_link(request, pages, error, _ASK_FOR_VERIFICATION)
    response = redirect(f"{SIGN_IN}?done=verified&next={SETTINGS}")
    if tokens is not None:
        set_signin_cookies(response, settings, tokens)
    return response


def _show_bad_link(request: Request, pages: Pages, error: AppError, again: tuple[str, str]) -> Response:
    """`again`: the words and the path of the way to a new link."""
    text, href = again
    return _keep_token(
        pages.render(
            request,
            "accounts/bad_link.html",
            status=error.status,
            title=_BAD_LINK_TITLES[type(error)],
            message=error.text,
            again_text=text,
            again_href=href,
        )
    )


def _keep_token(response: Response) -> Response:
    response.headers.update(_REFERRER_POLICY)
    return response
