"""JSON: `/api/account/*`, as far as passwords, addresses and the links of letters go."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, EmailStr, SecretStr
from starlette.requests import Request

from basewarden.accounts.callers import FreshlySignedIn, SignedIn, TheSignins
from basewarden.accounts.email_change import EmailChange
from basewarden.accounts.errors import BadPassword, LinkExpired, LinkUsed, OAuthOnly, ReauthRequired
from basewarden.accounts.resets import Resets
from basewarden.accounts.routes import TheAccounts, TheDevices, TheSettings, set_device_cookie, set_signin_cookies
from basewarden.accounts.service import SentPassword
from basewarden.accounts.signins import Person, Signins
from basewarden.accounts.verification import Verification
from basewarden.accounts.where import FromWhere
from basewarden.core.secret import Secret
from basewarden.errors import NotFound, TooMany, Unauthenticated
from basewarden.web import Writing, anyone, inject
from basewarden.web.openapi import STABLE, declare

router = APIRouter(prefix="/api/account", tags=["account"])
for_anyone = [Depends(anyone)]

TheResets = Annotated[Resets, Depends(inject(Resets))]
TheVerification = Annotated[Verification, Depends(inject(Verification))]
TheEmailChange = Annotated[EmailChange, Depends(inject(EmailChange))]


class Forgot(BaseModel):
    """The address is any text: nobody learns here what could be one."""

    model_config = ConfigDict(extra="forbid")

    email: str


class ResetPassword(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str
    password: SentPassword


class ChangePassword(BaseModel):
    model_config = ConfigDict(extra="forbid")

    currentPassword: SentPassword  # noqa: N815 - the contract's name
    newPassword: SentPassword  # noqa: N815 - the contract's name


class ConfirmEmail(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str


class ChangeEmail(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: EmailStr


class Done(BaseModel):
    ok: Literal[True] = True


class EmailSent(BaseModel):
    """`configured` false: this deployment sends no letters."""

    ok: Literal[True] = True
    configured: bool


class VerificationSent(EmailSent):
    alreadyVerified: bool  # noqa: N815 - JSON's name


@router.post(
    "/forgot-password",
    dependencies=for_anyone,
    summary="Sends an email with a link to choose a new password.",
    openapi_extra=STABLE,
)
async def post_forgot_password(body: Forgot, session: Writing, resets: TheResets, where: FromWhere) -> EmailSent:
    """The answer is the same for every address. `configured` false: this deployment sends no email."""
    await resets.ask(session, body.email, where)
    return EmailSent(configured=resets.is_configured)


@router.post(
    "/reset-password",
    dependencies=for_anyone,
    responses=declare(NotFound, LinkUsed, LinkExpired),
    summary="Sets a new password with the token of an email, and ends every sign-in session.",
    openapi_extra=STABLE,
)
async def post_reset_password(
    *,
    body: ResetPassword,
    response: Response,
    session: Writing,
    resets: TheResets,
    devices: TheDevices,
    settings: TheSettings,
    where: FromWhere,
) -> Done:
    """It signs in no one. A weak password leaves the token usable."""
    email = await resets.reset(session, body.token, reveal(body.password), where)
    set_device_cookie(response, settings, devices.issue(email))
    return Done()


@router.post(
    "/change-password",
    responses=declare(BadPassword, OAuthOnly, TooMany),
    summary="Changes your password.",
    openapi_extra=STABLE,
)
async def post_change_password(
    *,
    body: ChangePassword,
    person: SignedIn,
    response: Response,
    session: Writing,
    accounts: TheAccounts,
    settings: TheSettings,
    where: FromWhere,
) -> Done:
    """Every other sign-in session ends, and this one gets a new cookie."""
    tokens = await accounts.change_password(
        session, person, reveal(body.currentPassword), reveal(body.newPassword), where
    )
    set_signin_cookies(response, settings, tokens)
    return Done()


@router.post(
    "/verify-email/start",
    responses=declare(TooMany),
    summary="Sends the email with the verification link again.",
    openapi_extra=STABLE,
)
async def post_verify_start(
    person: SignedIn, session: Writing, verification: TheVerification, where: FromWhere
) -> VerificationSent:
    """Sends the link again."""
    await verification.start(session, person, where)
    return VerificationSent(configured=verification.is_configured, alreadyVerified=person.is_verified)


@router.post(
    "/verify-email/confirm",
    dependencies=for_anyone,
    responses=declare(NotFound, LinkUsed, LinkExpired),
    summary="Verifies an email address with the token of an email.",
    openapi_extra=STABLE,
)
async def post_verify_confirm(
    *,
    body: ConfirmEmail,
    request: Request,
    response: Response,
    session: Writing,
    signins: TheSignins,
    verification: TheVerification,
    settings: TheSettings,
    where: FromWhere,
) -> Done:
    """The token is enough; a sign-in is not needed. For a changed address every other sign-in session ends."""
    tokens = await verification.confirm(session, body.token, await find_caller(request, signins), where)
    if tokens is not None:
        set_signin_cookies(response, settings, tokens)
    return Done()


@router.post("/email", responses=declare(ReauthRequired, TooMany), summary="Starts a change of your email address.")
async def post_email(
    body: ChangeEmail, person: FreshlySignedIn, session: Writing, change: TheEmailChange, where: FromWhere
) -> EmailSent:
    """The address changes once the link in the email to the new address is used."""
    await change.start(session, person, body.email, where)
    return EmailSent(configured=change.is_configured)


async def find_caller(request: Request, signins: Signins) -> Person | None:
    """Who holds a link may also be signed in, wholly; here nobody has to be."""
    try:
        return await signins.find_signed_in(request.scope)
    except Unauthenticated:
        return None


def reveal(value: SecretStr) -> Secret:
    return Secret(value.get_secret_value())
