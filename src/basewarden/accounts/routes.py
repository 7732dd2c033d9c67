"""JSON: `/api/auth/*`."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from starlette.requests import Request

from basewarden.accounts.callers import TheSignins
from basewarden.accounts.devices import HOLDS, Devices
from basewarden.accounts.errors import InvalidCredentials, MfaRequired
from basewarden.accounts.service import Accounts, SignIn, SignUp
from basewarden.accounts.signins import LONGEST, MFA_HOLDS, Tokens
from basewarden.accounts.where import FromWhere
from basewarden.errors import TooMany, Unauthenticated
from basewarden.settings import Settings
from basewarden.web import (
    Writing,
    anyone,
    clear_cookie,
    inject,
    session_cookie_name,
    set_cookie,
)
from basewarden.web.cookies import device_cookie_name, mfa_cookie_name
from basewarden.web.openapi import declare

router = APIRouter(prefix="/api/auth", tags=["auth"], dependencies=[Depends(anyone)])

TheAccounts = Annotated[Accounts, Depends(inject(Accounts))]
TheDevices = Annotated[Devices, Depends(inject(Devices))]
TheSettings = Annotated[Settings, Depends(inject(Settings))]


class SignedUp(BaseModel):
    ok: Literal[True] = True


class SignedInOut(BaseModel):
    ok: Literal[True] = True
    mfaRequired: bool = False  # noqa: N815 - the contract's name


class UserOut(BaseModel):
    id: UUID
    email: str
    name: str


class SessionOut(BaseModel):
    user: UserOut
    expires: datetime


@router.post("/signup", status_code=HTTPStatus.CREATED, responses=declare(TooMany), summary="Creates an account.")
async def post_signup(body: SignUp, session: Writing, accounts: TheAccounts, where: FromWhere) -> SignedUp:
    """The answer is the same whether or not the email address has an account already."""
    await accounts.sign_up(session, body, where)
    return SignedUp()


@router.post(
    "/signin",
    responses=declare(InvalidCredentials, TooMany),
    summary="Signs in with email and password, and sets the session cookie.",
)
async def post_signin(
    *,
    body: SignIn,
    request: Request,
    response: Response,
    session: Writing,
    accounts: TheAccounts,
    signins: TheSignins,
    settings: TheSettings,
    devices: TheDevices,
    where: FromWhere,
) -> SignedInOut:
    """With a second factor `mfaRequired` is true, and the cookie opens nothing else until the factor is verified."""
    opened = await accounts.sign_in(
        session, body, where, earlier_token=signins.read_token(request.scope), device=devices.read(request.scope)
    )
    set_signin_cookies(response, settings, opened.tokens)
    set_device_cookie(response, settings, devices.issue(body.email))
    return SignedInOut(mfaRequired=opened.needs_mfa)


@router.post("/signout", status_code=HTTPStatus.NO_CONTENT, summary="Signs out.")
async def post_signout(
    request: Request, response: Response, session: Writing, signins: TheSignins, settings: TheSettings
) -> None:
    """It succeeds without a sign-in as well."""
    token = signins.read_token(request.scope)
    if token:
        await signins.end(session, token)
    clear_signin_cookies(response, settings)


@router.get("/session", responses=declare(MfaRequired), summary="Returns the person who is signed in.")
async def get_session(request: Request, signins: TheSignins) -> SessionOut | None:
    """Null without a sign-in and with a bad cookie alike."""
    try:
        person = await signins.find_signed_in(request.scope)
    except MfaRequired:
        raise
    except Unauthenticated:
        person = None
    if person is None:
        return None
    return SessionOut(user=UserOut(id=person.id, email=person.email, name=person.name), expires=person.expires_at)


def set_signin_cookies(response: Response, settings: Settings, tokens: Tokens) -> None:
    """Live as long as what they say can hold; the server ends idle sessions earlier."""
    seconds = int(LONGEST.total_seconds())
    set_cookie(response, settings, session_cookie_name(settings), tokens.session, seconds=seconds)
    if tokens.mfa is not None:
        seconds = int(MFA_HOLDS.total_seconds())
        set_cookie(response, settings, mfa_cookie_name(settings), tokens.mfa, seconds=seconds)


def set_device_cookie(response: Response, settings: Settings, value: str) -> None:
    """Stays when its person signs out: it is for the next time."""
    set_cookie(response, settings, device_cookie_name(settings), value, seconds=int(HOLDS.total_seconds()))


def clear_signin_cookies(response: Response, settings: Settings) -> None:
    """The cookies of whoever signs out, and what the browser kept of their pages; the theme stays."""
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    for name in (session_cookie_name(settings), mfa_cookie_name(settings)):
        clear_cookie(response, settings, name)
