"""JSON: `/api/account` itself, its sign-in sessions, and confirming who one is."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from basewarden.accounts.callers import SignedIn
from basewarden.accounts.errors import BadPassword, OAuthOnly
from basewarden.accounts.own_signins import OwnSignins
from basewarden.accounts.profile import Profile, Profiles
from basewarden.accounts.reauth import Reauth
from basewarden.accounts.routes import TheSettings, clear_signin_cookies, set_signin_cookies
from basewarden.accounts.service import SentPassword
from basewarden.accounts.where import FromWhere
from basewarden.core.ids import parse_id
from basewarden.core.secret import Secret
from basewarden.core.text import clean_line
from basewarden.db import ReadSession
from basewarden.errors import NotFound, TooMany
from basewarden.web import Reading, ResponseBody, Writing, inject
from basewarden.web.openapi import declare

router = APIRouter(prefix="/api/account", tags=["account"])

TheProfiles = Annotated[Profiles, Depends(inject(Profiles))]
TheOwnSignins = Annotated[OwnSignins, Depends(inject(OwnSignins))]
TheReauth = Annotated[Reauth, Depends(inject(Reauth))]


Name = Annotated[str, Field(max_length=120), AfterValidator(clean_line)]


class SignInSessionRename(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class Confirm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: SentPassword


class _StoredOut(ResponseBody):
    model_config = ConfigDict(from_attributes=True)


class AccountOut(_StoredOut):
    """`github` is the login that is linked."""

    id: UUID
    email: str
    name: str
    email_verified: bool
    has_password: bool
    two_factor: bool
    recovery_codes_left: int
    passkeys: int
    github: str | None
    deletion_due_at: datetime | None
    created_at: datetime


class SigninOut(_StoredOut):
    """`method` is what opened it: password, passkey or github."""

    id: UUID
    device: str
    address: str | None
    method: str
    created_at: datetime
    last_seen_at: datetime
    current: bool


class SigninsOut(BaseModel):
    sessions: list[SigninOut]


class Ended(BaseModel):
    ended: int


class Confirmed(BaseModel):
    ok: Literal[True] = True


@router.get("", summary="Returns your account.")
async def get_account(person: SignedIn, session: Reading, profiles: TheProfiles) -> AccountOut:
    return _show_account(await profiles.describe(session, person.id))


@router.patch("", summary="Changes your name.")
async def patch_account(
    body: SignInSessionRename, person: SignedIn, session: Writing, profiles: TheProfiles, where: FromWhere
) -> AccountOut:
    await profiles.rename(session, person, body.name, where)
    return _show_account(await profiles.describe(ReadSession(session), person.id))


@router.get("/sessions", summary="Lists your sign-in sessions.")
async def get_sessions(person: SignedIn, session: Reading, own: TheOwnSignins) -> SigninsOut:
    """The current one comes first, then the others, the last used first."""
    return SigninsOut(sessions=[SigninOut.model_validate(signin) for signin in await own.list_alive(session, person)])


@router.delete("/sessions", summary="Ends all your other sign-in sessions.")
async def delete_sessions(person: SignedIn, session: Writing, own: TheOwnSignins, where: FromWhere) -> Ended:
    return Ended(ended=await own.end_others(session, person, where))


@router.delete(
    "/sessions/{session_id}",
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
    own: TheOwnSignins,
    settings: TheSettings,
    where: FromWhere,
) -> None:
    """Ending the current one signs you out."""
    wanted = parse_signin_id(session_id)
    await own.end(session, person, wanted, where)
    if wanted == person.signin_id:
        clear_signin_cookies(response, settings)


@router.post(
    "/reauth", responses=declare(BadPassword, OAuthOnly, TooMany), summary="Confirms your identity with your password."
)
async def post_reauth(
    *,
    body: Confirm,
    person: SignedIn,
    response: Response,
    session: Writing,
    reauth: TheReauth,
    settings: TheSettings,
    where: FromWhere,
) -> Confirmed:
    """It holds for ten minutes. The session gets a new cookie."""
    tokens = await reauth.confirm(session, person, Secret(body.password.get_secret_value()), where)
    set_signin_cookies(response, settings, tokens)
    return Confirmed()


def parse_signin_id(text: str) -> UUID:
    """A hostile id is an unknown one."""
    wanted = parse_id(text)
    if wanted is None:
        raise NotFound
    return wanted


def _show_account(profile: Profile) -> AccountOut:
    return AccountOut.model_validate(profile)
