"""JSON: `/api/account/verify-email/*`, and `/api/account/email`, which starts a change of address."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, EmailStr
from starlette.requests import Request

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import LinkExpired, LinkUsed, ReauthRequired
from basewarden.accounts.schemas import Done, EmailSent
from basewarden.accounts.signin.callers import FreshlySignedIn, SignedIn, SignInSessionsDep, find_caller
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.verification.email_change import EmailChange
from basewarden.accounts.verification.service import Verification
from basewarden.errors import NotFound, TooMany
from basewarden.web import STABLE, SettingsDep, Writing, anyone, declare, inject

router = APIRouter(prefix="/api/account", tags=["account"])

VerificationDep = Annotated[Verification, Depends(inject(Verification))]
EmailChangeDep = Annotated[EmailChange, Depends(inject(EmailChange))]


class ConfirmEmail(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str


class ChangeEmail(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: EmailStr


class VerificationSent(EmailSent):
    alreadyVerified: bool  # noqa: N815 - JSON's name


@router.post(
    "/verify-email/start",
    responses=declare(TooMany),
    summary="Sends the email with the verification link again.",
    openapi_extra=STABLE,
)
async def post_verify_start(
    person: SignedIn, session: Writing, verification: VerificationDep, client_info: ClientInfoDep
) -> VerificationSent:
    """Sends the link again."""
    await verification.start(session, person, client_info)
    return VerificationSent(configured=verification.is_configured, alreadyVerified=person.is_verified)


@router.post(
    "/verify-email/confirm",
    dependencies=[Depends(anyone)],
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
    signins: SignInSessionsDep,
    verification: VerificationDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Done:
    """The token is enough; a sign-in is not needed. For a changed address every other sign-in session ends."""
    verified = await verification.confirm(session, body.token, await find_caller(request, signins), client_info)
    if verified.tokens is not None:
        set_signin_cookies(response, settings, verified.tokens)
    return Done()


@router.post("/email", responses=declare(ReauthRequired, TooMany), summary="Starts a change of your email address.")
async def post_email(
    body: ChangeEmail, person: FreshlySignedIn, session: Writing, change: EmailChangeDep, client_info: ClientInfoDep
) -> EmailSent:
    """The address changes once the link in the email to the new address is used."""
    await change.start(session, person, body.email, client_info)
    return EmailSent(configured=change.is_configured)
