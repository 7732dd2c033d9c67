"""JSON: `/api/account/passkeys…`, and the three places where a passkey is shown."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from starlette.requests import Request

from basewarden.accounts.client_info import FromWhere
from basewarden.accounts.errors import BadCode, InvalidCredentials, ReauthRequired
from basewarden.accounts.models import Passkey
from basewarden.accounts.passkeys.errors import BadPasskey, LastWayIn, NoPasskey, PasskeyTaken, TooManyPasskeys
from basewarden.accounts.passkeys.schemas import (
    AddPasskey,
    OptionsOut,
    PasskeyAdded,
    PasskeyOut,
    PasskeyRename,
    PasskeysOut,
    Proved,
    ShowPasskey,
)
from basewarden.accounts.passkeys.service import Offer, Passkeys, list_passkeys
from basewarden.accounts.signin.callers import FreshlySignedIn, HalfSignedIn, SignedIn, SignInSessionsDep
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.signin.schemas import SignedInOut
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound, TooMany
from basewarden.web import Reading, SettingsDep, Writing, anyone, inject
from basewarden.web.openapi import declare

router = APIRouter()
own = APIRouter(prefix="/api/account", tags=["account"])
entrance = APIRouter(prefix="/api/auth/passkey", tags=["auth"], dependencies=[Depends(anyone)])

PasskeysDep = Annotated[Passkeys, Depends(inject(Passkeys))]


@own.get("/passkeys", summary="Lists your passkeys.")
async def get_passkeys(person: SignedIn, session: Reading) -> PasskeysOut:
    return PasskeysOut(passkeys=[show_passkey(passkey) for passkey in await list_passkeys(session, person.id)])


@own.post(
    "/passkeys/options",
    responses=declare(ReauthRequired, TooManyPasskeys, TooMany),
    summary="Returns the options for creating a passkey.",
)
async def post_passkey_options(person: FreshlySignedIn, passkeys: PasskeysDep) -> OptionsOut:
    return show_offer(await passkeys.offer_adding(person))


@own.post(
    "/passkeys",
    status_code=HTTPStatus.CREATED,
    responses=declare(ReauthRequired, BadPasskey, PasskeyTaken, TooManyPasskeys),
    summary="Adds a passkey.",
)
async def post_passkey(
    *,
    body: AddPasskey,
    person: FreshlySignedIn,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    settings: SettingsDep,
    where: FromWhere,
) -> PasskeyAdded:
    passkey_id, name, tokens = await passkeys.add(session, person, body, where)
    set_signin_cookies(response, settings, tokens)
    return PasskeyAdded(id=passkey_id, name=name)


@own.patch("/passkeys/{passkey_id}", summary="Renames a passkey.")
async def patch_passkey(
    *, passkey_id: str, body: PasskeyRename, person: SignedIn, session: Writing, passkeys: PasskeysDep, where: FromWhere
) -> PasskeyOut:
    return show_passkey(await passkeys.rename(session, person, parse_passkey_id(passkey_id), body.name, where))


@own.delete(
    "/passkeys/{passkey_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=declare(ReauthRequired, LastWayIn),
    summary="Deletes a passkey.",
)
async def delete_passkey(
    *,
    passkey_id: str,
    person: FreshlySignedIn,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    settings: SettingsDep,
    where: FromWhere,
) -> None:
    tokens = await passkeys.remove(session, person, parse_passkey_id(passkey_id), where)
    set_signin_cookies(response, settings, tokens)


@entrance.post("/options", responses=declare(TooMany), summary="Returns the options for signing in with a passkey.")
async def post_signin_options(passkeys: PasskeysDep, where: FromWhere) -> OptionsOut:
    return show_offer(await passkeys.offer_signing_in(where))


@entrance.post(
    "", responses=declare(InvalidCredentials, TooMany), summary="Signs in with a passkey, and sets the session cookie."
)
async def post_signin(
    *,
    body: ShowPasskey,
    request: Request,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    signins: SignInSessionsDep,
    settings: SettingsDep,
    where: FromWhere,
) -> SignedInOut:
    """A passkey counts as both factors."""
    tokens = await passkeys.sign_in(session, body, where, earlier_token=signins.read_token(request.scope))
    set_signin_cookies(response, settings, tokens)
    return SignedInOut()


@own.post(
    "/2fa/passkey/options",
    responses=declare(NoPasskey, TooMany),
    summary="Returns the options for a passkey as the second factor.",
)
async def post_second_factor_options(person: HalfSignedIn, passkeys: PasskeysDep) -> OptionsOut:
    return show_offer(await passkeys.offer_second_factor(person))


@own.post("/2fa/passkey", responses=declare(BadCode, TooMany), summary="Verifies the second factor with a passkey.")
async def post_second_factor(
    *,
    body: ShowPasskey,
    person: HalfSignedIn,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    settings: SettingsDep,
    where: FromWhere,
) -> Proved:
    tokens = await passkeys.pass_second_factor(session, person, body, where)
    set_signin_cookies(response, settings, tokens)
    return Proved()


@own.post(
    "/reauth/passkey/options",
    responses=declare(NoPasskey, TooMany),
    summary="Returns the options for confirming your identity with a passkey.",
)
async def post_confirm_options(person: SignedIn, passkeys: PasskeysDep) -> OptionsOut:
    return show_offer(await passkeys.offer_confirming(person))


@own.post("/reauth/passkey", responses=declare(BadPasskey), summary="Confirms your identity with a passkey.")
async def post_confirm(
    *,
    body: ShowPasskey,
    person: SignedIn,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    settings: SettingsDep,
    where: FromWhere,
) -> Proved:
    tokens = await passkeys.confirm(session, person, body, where)
    set_signin_cookies(response, settings, tokens)
    return Proved()


router.include_router(own)
router.include_router(entrance)


def show_offer(offer: Offer) -> OptionsOut:
    return OptionsOut(challenge_id=offer.challenge_id, public_key=offer.options)


def show_passkey(passkey: Passkey) -> PasskeyOut:
    return PasskeyOut.model_validate(passkey, from_attributes=True)


def parse_passkey_id(text: str) -> UUID:
    """A hostile id is an unknown one."""
    wanted = parse_id(text)
    if wanted is None:
        raise NotFound
    return wanted
