"""JSON: signing up and in with a password, and changing it."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import BadPassword, InvalidCredentials, OAuthOnly
from basewarden.accounts.password.schemas import SentPassword, SignIn, SignUp, reveal
from basewarden.accounts.password.service import Accounts
from basewarden.accounts.schemas import Done
from basewarden.accounts.signin.callers import DevicesDep, SignedIn, SignInSessionsDep
from basewarden.accounts.signin.cookies import set_device_cookie, set_signin_cookies
from basewarden.accounts.signin.schemas import SignedInOut
from basewarden.errors import TooMany
from basewarden.web import STABLE, SettingsDep, Writing, anyone, declare, inject

router = APIRouter()
auth = APIRouter(prefix="/api/auth", tags=["auth"], dependencies=[Depends(anyone)])
own = APIRouter(prefix="/api/account", tags=["account"])

AccountsDep = Annotated[Accounts, Depends(inject(Accounts))]


class ChangePassword(BaseModel):
    model_config = ConfigDict(extra="forbid")

    currentPassword: SentPassword  # noqa: N815 - the contract's name
    newPassword: SentPassword  # noqa: N815 - the contract's name


@own.post(
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
    accounts: AccountsDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Done:
    """Every other sign-in session ends, and this one gets a new cookie."""
    tokens = await accounts.change_password(
        session, person, reveal(body.currentPassword), reveal(body.newPassword), client_info
    )
    set_signin_cookies(response, settings, tokens)
    return Done()


@auth.post("/signup", status_code=HTTPStatus.CREATED, responses=declare(TooMany), summary="Creates an account.")
async def post_signup(body: SignUp, session: Writing, accounts: AccountsDep, client_info: ClientInfoDep) -> Done:
    """The answer is the same whether or not the email address has an account already."""
    await accounts.sign_up(session, body, client_info)
    return Done()


@auth.post(
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
    accounts: AccountsDep,
    signins: SignInSessionsDep,
    settings: SettingsDep,
    devices: DevicesDep,
    client_info: ClientInfoDep,
) -> SignedInOut:
    """With a second factor `mfaRequired` is true, and the cookie opens nothing else until the factor is verified."""
    result = await accounts.sign_in(
        session, body, client_info, previous_token=signins.read_token(request.scope), device=devices.read(request.scope)
    )
    set_signin_cookies(response, settings, result.tokens)
    set_device_cookie(response, settings, devices.issue(body.email))
    return SignedInOut(mfaRequired=result.needs_mfa)


router.include_router(auth)
router.include_router(own)
