"""JSON: `/api/account/forgot-password` and `/api/account/reset-password`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import LinkExpired, LinkUsed
from basewarden.accounts.password.schemas import SentPassword, reveal
from basewarden.accounts.recovery.service import Resets
from basewarden.accounts.schemas import Done, EmailSent
from basewarden.accounts.signin.callers import DevicesDep
from basewarden.accounts.signin.cookies import set_device_cookie
from basewarden.errors import NotFound
from basewarden.web import STABLE, SettingsDep, Writing, anyone, declare, inject

router = APIRouter(prefix="/api/account", tags=["account"], dependencies=[Depends(anyone)])

ResetsDep = Annotated[Resets, Depends(inject(Resets))]


class Forgot(BaseModel):
    """The email may be any text: the answer is the same for text that is not an address."""

    model_config = ConfigDict(extra="forbid")

    email: str


class ResetPassword(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str
    password: SentPassword


@router.post("/forgot-password", summary="Sends an email with a link to choose a new password.", openapi_extra=STABLE)
async def post_forgot_password(
    body: Forgot, session: Writing, resets: ResetsDep, client_info: ClientInfoDep
) -> EmailSent:
    """The answer is the same for every address. `configured` false: this deployment sends no email."""
    await resets.ask(session, body.email, client_info)
    return EmailSent(configured=resets.is_configured)


@router.post(
    "/reset-password",
    responses=declare(NotFound, LinkUsed, LinkExpired),
    summary="Sets a new password with the token of an email, and ends every sign-in session.",
    openapi_extra=STABLE,
)
async def post_reset_password(
    *,
    body: ResetPassword,
    response: Response,
    session: Writing,
    resets: ResetsDep,
    devices: DevicesDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Done:
    """It signs in no one. A weak password leaves the token usable."""
    email = await resets.reset(session, body.token, reveal(body.password), client_info)
    set_device_cookie(response, settings, devices.issue(email))
    return Done()
