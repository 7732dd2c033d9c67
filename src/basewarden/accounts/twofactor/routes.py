"""JSON: `/api/account/2fa/*`."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import AlreadyOn, BadCode, BadPassword, ReauthRequired
from basewarden.accounts.password.schemas import reveal
from basewarden.accounts.schemas import Done
from basewarden.accounts.signin.callers import FreshlySignedIn, HalfSignedIn, SignedIn
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.twofactor.forms import TwoFactorDisable, TwoFactorEnable, VerificationForm
from basewarden.accounts.twofactor.service import NewCodes, TwoFactor
from basewarden.errors import Conflict, Forbidden, TooLarge, TooMany, Unauthenticated, Unavailable
from basewarden.web import STABLE, ResponseBody, SettingsDep, Writing, declare, inject

router = APIRouter(prefix="/api/account/2fa", tags=["account"])

TwoFactorDep = Annotated[TwoFactor, Depends(inject(TwoFactor))]


class SetupOut(ResponseBody):
    secret: str
    otpauth_url: str
    qr_data_url: str


class CodesOut(ResponseBody):
    """Ten codes, which are shown only once."""

    ok: Literal[True] = True
    recovery_codes: list[str]


@router.post(
    "/setup",
    responses=declare(TooMany),
    summary="Returns a new secret for two-factor authentication.",
    openapi_extra=STABLE,
)
async def post_setup(person: SignedIn, session: Writing, two_factor: TwoFactorDep) -> SetupOut:
    """The secret has no effect until `enable`."""
    setup = await two_factor.set_up(session, person)
    return SetupOut(secret=setup.secret.reveal(), otpauth_url=setup.url.reveal(), qr_data_url=setup.qr)


@router.post(
    "/enable",
    responses=declare(BadCode, ReauthRequired, AlreadyOn, TooMany),
    summary="Turns two-factor authentication on.",
    openapi_extra=STABLE,
)
async def post_enable(
    *,
    body: TwoFactorEnable,
    person: SignedIn,
    response: Response,
    session: Writing,
    two_factor: TwoFactorDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> CodesOut:
    """The answer is the only one that holds the ten recovery codes."""
    new = await two_factor.enable(session, person, reveal(body.secret), reveal(body.code), client_info)
    set_signin_cookies(response, settings, new.tokens)
    return show_codes(new)


@router.post(
    "/verify",
    responses=declare(Unauthenticated, Forbidden, TooLarge, Unavailable, BadCode, TooMany),
    summary="Verifies the second factor of this sign-in session, for a day.",
    openapi_extra=STABLE,
)
async def post_verify(
    *,
    body: VerificationForm,
    person: HalfSignedIn,
    response: Response,
    session: Writing,
    two_factor: TwoFactorDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Done:
    tokens = await two_factor.verify(session, person, reveal(body.code), client_info, is_recovery=body.recovery)
    set_signin_cookies(response, settings, tokens)
    return Done()


@router.post(
    "/disable",
    responses=declare(BadPassword, ReauthRequired, TooMany),
    summary="Turns two-factor authentication off.",
    openapi_extra=STABLE,
)
async def post_disable(
    *,
    body: TwoFactorDisable,
    person: SignedIn,
    response: Response,
    session: Writing,
    two_factor: TwoFactorDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Done:
    """The secret and the recovery codes are deleted."""
    tokens = await two_factor.disable(session, person, reveal(body.password), client_info)
    set_signin_cookies(response, settings, tokens)
    return Done()


@router.post(
    "/recovery-codes", responses=declare(ReauthRequired, Conflict, TooMany), summary="Creates ten new recovery codes."
)
async def post_recovery_codes(
    person: FreshlySignedIn,
    response: Response,
    session: Writing,
    two_factor: TwoFactorDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> CodesOut:
    """The earlier ones no longer work."""
    new = await two_factor.renew_codes(session, person, client_info)
    set_signin_cookies(response, settings, new.tokens)
    return show_codes(new)


def show_codes(new: NewCodes) -> CodesOut:
    return CodesOut(recovery_codes=[code.show() for code in new.codes])
