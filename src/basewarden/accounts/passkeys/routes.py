"""JSON: `/api/account/passkeys…`, signing in, the second factor and confirming an identity with a passkey."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from starlette.requests import Request

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import BadCode, InvalidCredentials, ReauthRequired
from basewarden.accounts.models import Passkey
from basewarden.accounts.passkeys.errors import BadPasskey, LastSignInMethod, NoPasskey, PasskeyTaken, TooManyPasskeys
from basewarden.accounts.passkeys.schemas import (
    OptionsOut,
    PasskeyAdded,
    PasskeyAssertion,
    PasskeyOut,
    PasskeyRegistration,
    PasskeyRename,
    PasskeysOut,
)
from basewarden.accounts.passkeys.service import CeremonyOptions, Passkeys, list_passkeys
from basewarden.accounts.schemas import Done
from basewarden.accounts.signin.callers import FreshlySignedIn, HalfSignedIn, SignedIn, SignInSessionsDep
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.signin.schemas import SignedInOut
from basewarden.core.ids import parse_id
from basewarden.errors import NotFound, TooMany
from basewarden.web import Reading, SettingsDep, Writing, anyone, declare, inject

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
    return show_options(await passkeys.make_registration_options(person))


@own.post(
    "/passkeys",
    status_code=HTTPStatus.CREATED,
    responses=declare(ReauthRequired, BadPasskey, PasskeyTaken, TooManyPasskeys),
    summary="Adds a passkey.",
)
async def post_passkey(
    *,
    body: PasskeyRegistration,
    person: FreshlySignedIn,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> PasskeyAdded:
    passkey_id, name, tokens = await passkeys.add(session, person, body, client_info)
    set_signin_cookies(response, settings, tokens)
    return PasskeyAdded(id=passkey_id, name=name)


@own.patch("/passkeys/{passkey_id}", summary="Renames a passkey.")
async def patch_passkey(
    *,
    passkey_id: str,
    body: PasskeyRename,
    person: SignedIn,
    session: Writing,
    passkeys: PasskeysDep,
    client_info: ClientInfoDep,
) -> PasskeyOut:
    return show_passkey(await passkeys.rename(session, person, parse_passkey_id(passkey_id), body.name, client_info))


@own.delete(
    "/passkeys/{passkey_id}",
    status_code=HTTPStatus.NO_CONTENT,
    responses=declare(ReauthRequired, LastSignInMethod),
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
    client_info: ClientInfoDep,
) -> None:
    tokens = await passkeys.remove(session, person, parse_passkey_id(passkey_id), client_info)
    set_signin_cookies(response, settings, tokens)


@entrance.post("/options", responses=declare(TooMany), summary="Returns the options for signing in with a passkey.")
async def post_signin_options(passkeys: PasskeysDep, client_info: ClientInfoDep) -> OptionsOut:
    return show_options(await passkeys.make_signin_options(client_info))


@entrance.post(
    "", responses=declare(InvalidCredentials, TooMany), summary="Signs in with a passkey, and sets the session cookie."
)
async def post_signin(
    *,
    body: PasskeyAssertion,
    request: Request,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    signins: SignInSessionsDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> SignedInOut:
    """A passkey counts as both factors."""
    tokens = await passkeys.sign_in(session, body, client_info, previous_token=signins.read_token(request.scope))
    set_signin_cookies(response, settings, tokens)
    return SignedInOut()


@own.post(
    "/2fa/passkey/options",
    responses=declare(NoPasskey, TooMany),
    summary="Returns the options for a passkey as the second factor.",
)
async def post_second_factor_options(person: HalfSignedIn, passkeys: PasskeysDep) -> OptionsOut:
    return show_options(await passkeys.make_second_factor_options(person))


@own.post("/2fa/passkey", responses=declare(BadCode, TooMany), summary="Verifies the second factor with a passkey.")
async def post_second_factor(
    *,
    body: PasskeyAssertion,
    person: HalfSignedIn,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Done:
    tokens = await passkeys.pass_second_factor(session, person, body, client_info)
    set_signin_cookies(response, settings, tokens)
    return Done()


@own.post(
    "/reauth/passkey/options",
    responses=declare(NoPasskey, TooMany),
    summary="Returns the options for confirming your identity with a passkey.",
)
async def post_confirm_options(person: SignedIn, passkeys: PasskeysDep) -> OptionsOut:
    return show_options(await passkeys.make_reauth_options(person))


@own.post("/reauth/passkey", responses=declare(BadPasskey), summary="Confirms your identity with a passkey.")
async def post_confirm(
    *,
    body: PasskeyAssertion,
    person: SignedIn,
    response: Response,
    session: Writing,
    passkeys: PasskeysDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Done:
    tokens = await passkeys.confirm(session, person, body, client_info)
    set_signin_cookies(response, settings, tokens)
    return Done()


router.include_router(own)
router.include_router(entrance)


def show_options(ceremony: CeremonyOptions) -> OptionsOut:
    return OptionsOut(challenge_id=ceremony.challenge_id, public_key=ceremony.options)


def show_passkey(passkey: Passkey) -> PasskeyOut:
    return PasskeyOut.model_validate(passkey, from_attributes=True)


def parse_passkey_id(text: str) -> UUID:
    """NotFound for a malformed id as well."""
    wanted = parse_id(text)
    if wanted is None:
        raise NotFound
    return wanted
