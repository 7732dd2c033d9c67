"""JSON: `/api/account/reauth`, which asks for the password again."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import BadPassword, OAuthOnly
from basewarden.accounts.password.schemas import SentPassword, reveal
from basewarden.accounts.reauth.service import Reauth
from basewarden.accounts.schemas import Done
from basewarden.accounts.signin.callers import SignedIn
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.errors import TooMany
from basewarden.web import SettingsDep, Writing, declare, inject

router = APIRouter(prefix="/api/account", tags=["account"])

ReauthDep = Annotated[Reauth, Depends(inject(Reauth))]


class Confirm(BaseModel):
    model_config = ConfigDict(extra="forbid")

    password: SentPassword


@router.post(
    "/reauth", responses=declare(BadPassword, OAuthOnly, TooMany), summary="Confirms your identity with your password."
)
async def post_reauth(
    *,
    body: Confirm,
    person: SignedIn,
    response: Response,
    session: Writing,
    reauth: ReauthDep,
    settings: SettingsDep,
    client_info: ClientInfoDep,
) -> Done:
    """It holds for ten minutes. The session gets a new cookie."""
    tokens = await reauth.confirm(session, person, reveal(body.password), client_info)
    set_signin_cookies(response, settings, tokens)
    return Done()
