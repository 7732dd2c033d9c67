"""JSON: `/api/auth/*`."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from starlette.requests import Request

from basewarden.accounts.service import Accounts, SignIn, SignUp
from basewarden.accounts.signins import LONGEST, Signins
from basewarden.settings import Settings
from basewarden.web import (
    RequestContext,
    Writing,
    anyone,
    clear_cookie,
    provided,
    request_context,
    session_cookie_name,
    set_cookie,
)

router = APIRouter(prefix="/api/auth", tags=["auth"], dependencies=[Depends(anyone)])

Context = Annotated[RequestContext, Depends(request_context)]
TheAccounts = Annotated[Accounts, Depends(provided(Accounts))]
TheSignins = Annotated[Signins, Depends(provided(Signins))]
TheSettings = Annotated[Settings, Depends(provided(Settings))]


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


@router.post("/signup", status_code=HTTPStatus.CREATED)
async def post_signup(body: SignUp, session: Writing, accounts: TheAccounts, context: Context) -> SignedUp:
    await accounts.sign_up(session, body, client_address=context.client_address)
    return SignedUp()


@router.post("/signin")
async def post_signin(
    *,
    body: SignIn,
    request: Request,
    response: Response,
    session: Writing,
    accounts: TheAccounts,
    signins: TheSignins,
    settings: TheSettings,
    context: Context,
) -> SignedInOut:
    token = await accounts.sign_in(
        session, body, client_address=context.client_address, earlier_token=signins.read_token(request.scope)
    )
    set_signin_cookie(response, settings, token)
    return SignedInOut()


@router.post("/signout", status_code=HTTPStatus.NO_CONTENT)
async def post_signout(
    request: Request, response: Response, session: Writing, signins: TheSignins, settings: TheSettings
) -> None:
    """Also where nobody is signed in: afterwards nobody is."""
    token = signins.read_token(request.scope)
    if token:
        await signins.end(session, token)
    clear_cookie(response, settings, session_cookie_name(settings))


@router.get("/session")
async def get_session(request: Request, signins: TheSignins) -> SessionOut | None:
    token = signins.read_token(request.scope)
    person = await signins.find_person(token) if token else None
    if person is None:
        return None
    return SessionOut(user=UserOut(id=person.id, email=person.email, name=person.name), expires=person.expires_at)


def set_signin_cookie(response: Response, settings: Settings, token: str) -> None:
    """Lives as long as a session can; the server ends idle ones earlier."""
    set_cookie(response, settings, session_cookie_name(settings), token, seconds=int(LONGEST.total_seconds()))
