"""JSON: who is signed in, signing out, and `/api/account/sessions`."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel
from starlette.requests import Request

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import MfaRequired
from basewarden.accounts.schemas import StoredOut
from basewarden.accounts.signin.callers import SignedIn, SignInSessionsDep
from basewarden.accounts.signin.cookies import clear_signin_cookies
from basewarden.accounts.signin.session_list import SessionList
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound, Unauthenticated
from basewarden.web import Reading, SettingsDep, Writing, anyone, declare, inject

router = APIRouter()
auth = APIRouter(prefix="/api/auth", tags=["auth"], dependencies=[Depends(anyone)])
own = APIRouter(prefix="/api/account/sessions", tags=["account"])

SessionListDep = Annotated[SessionList, Depends(inject(SessionList))]


class UserOut(BaseModel):
    id: UUID
    email: str
    name: str


class SessionOut(BaseModel):
    user: UserOut
    expires: datetime


@auth.post("/signout", status_code=HTTPStatus.NO_CONTENT, summary="Signs out.")
async def post_signout(
    request: Request, response: Response, session: Writing, signins: SignInSessionsDep, settings: SettingsDep
) -> None:
    """It succeeds without a sign-in as well."""
    token = signins.read_token(request.scope)
    if token:
        await signins.end(session, token)
    clear_signin_cookies(response, settings)


@auth.get("/session", responses=declare(MfaRequired), summary="Returns the person who is signed in.")
async def get_session(request: Request, signins: SignInSessionsDep) -> SessionOut | None:
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


class SignInSessionOut(StoredOut):
    """`method` is what opened it: password, passkey, github, link (in the email after signing up) or demo_link."""

    id: UUID
    device: str
    address: str | None
    method: str
    created_at: datetime
    last_seen_at: datetime
    current: bool


class SignInSessionsOut(BaseModel):
    sessions: list[SignInSessionOut]


class Ended(BaseModel):
    ended: int


@own.get("", summary="Lists your sign-in sessions.")
async def get_sessions(person: SignedIn, session: Reading, signins: SessionListDep) -> SignInSessionsOut:
    """The current one comes first, then the others, the last used first."""
    return SignInSessionsOut(
        sessions=[SignInSessionOut.model_validate(signin) for signin in await signins.list_alive(session, person)]
    )


@own.delete("", summary="Ends all your other sign-in sessions.")
async def delete_sessions(
    person: SignedIn, session: Writing, signins: SessionListDep, client_info: ClientInfoDep
) -> Ended:
    return Ended(ended=await signins.end_others(session, person, client_info))


@own.delete(
    "/{session_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=declare(NotFound),
    summary="Ends one of your sign-in sessions.",
)
async def delete_session(
    *,
    session_id: str,
    person: SignedIn,
    response: Response,
    session: Writing,
    signins: SessionListDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> None:
    """Ending the current one signs you out."""
    wanted = parse_signin_id(session_id)
    await signins.end(session, person, wanted, client_info)
    if wanted == person.signin_id:
        clear_signin_cookies(response, settings)


router.include_router(auth)
router.include_router(own)


def parse_signin_id(text: str) -> UUID:
    """NotFound for a malformed id as well."""
    wanted = parse_id(text)
    if wanted is None:
        raise NotFound
    return wanted
