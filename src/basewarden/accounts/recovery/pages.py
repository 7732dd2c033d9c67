"""Pages: asking for a link to reset the password, and the page behind that link. They work without JavaScript."""

import shlex

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.link_pages import BAD_LINK, keep_token, show_bad_link
from basewarden.accounts.password.schemas import SentPassword, reveal
from basewarden.accounts.recovery.routes import Forgot, ResetsDep
from basewarden.accounts.return_path import SIGN_IN
from basewarden.accounts.signin.callers import DevicesDep
from basewarden.accounts.signin.cookies import set_device_cookie
from basewarden.accounts.signup.cookies import set_address_cookie
from basewarden.errors import Invalid
from basewarden.web import PagesDep, SettingsDep, Writing, anyone, parse_form, redirect, show_again

_ASK_FOR_RESET = ("Request a new link", "/forgot")
_ASK_OPERATOR = ("How to get a new link", "/forgot")

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


class NewPassword(BaseModel):
    password: SentPassword


@router.get("/forgot")
async def get_forgot(request: Request, pages: PagesDep, resets: ResetsDep) -> Response:
    is_sent = request.query_params.get("done") == "sent"
    return pages.render(
        request,
        "accounts/forgot.html",
        typed={},
        errors={},
        is_sent=is_sent,
        is_configured=resets.is_configured,
        command=None,
    )


@router.post("/forgot")
async def post_forgot(
    request: Request, session: Writing, pages: PagesDep, resets: ResetsDep, client_info: ClientInfoDep
) -> Response:
    form = await parse_form(request, Forgot)
    if form.data is None:
        return show_again(
            request,
            pages,
            "accounts/forgot.html",
            form,
            is_sent=False,
            is_configured=resets.is_configured,
            command=None,
        )
    if not resets.is_configured:
        command = f"basewarden link {shlex.quote(form.data.email)} reset"
        return show_again(
            request, pages, "accounts/forgot.html", form, is_sent=False, is_configured=False, command=command
        )
    await resets.ask(session, form.data.email, client_info)
    return redirect("/forgot?done=sent")


@router.get("/reset/{token}")
async def get_reset(request: Request, token: str, pages: PagesDep, resets: ResetsDep) -> Response:
    try:
        user = await resets.check_link(token)
    except BAD_LINK as error:
        return show_bad_link(request, pages, error, _ASK_FOR_RESET if resets.is_configured else _ASK_OPERATOR)
    return keep_token(pages.render(request, "accounts/reset.html", errors={}, email=user.email))


@router.post("/reset/{token}")
async def post_reset(
    *,
    request: Request,
    token: str,
    session: Writing,
    pages: PagesDep,
    resets: ResetsDep,
    devices: DevicesDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Response:
    form = await parse_form(request, NewPassword)
    try:
        user = await resets.check_link(token)
        if form.data is None:
            return keep_token(show_again(request, pages, "accounts/reset.html", form, email=user.email))
        email = await resets.reset(session, token, reveal(form.data.password), client_info)
    except BAD_LINK as error:
        return show_bad_link(request, pages, error, _ASK_FOR_RESET if resets.is_configured else _ASK_OPERATOR)
    except Invalid as error:
        return keep_token(show_again(request, pages, "accounts/reset.html", form, error, email=user.email))
    response = redirect(f"{SIGN_IN}?done=reset")
    set_device_cookie(response, settings, devices.issue(email))
    set_address_cookie(response, settings, email)
    return response
