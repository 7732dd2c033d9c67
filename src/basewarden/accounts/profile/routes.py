"""JSON: `/api/account` itself."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.profile.service import Profile, Profiles
from basewarden.accounts.schemas import StoredOut
from basewarden.accounts.signin.callers import SignedIn
from basewarden.core.text import clean_line
from basewarden.db import ReadSession
from basewarden.web import Reading, Writing, inject

router = APIRouter(prefix="/api/account", tags=["account"])

ProfilesDep = Annotated[Profiles, Depends(inject(Profiles))]

Name = Annotated[str, Field(max_length=120), AfterValidator(clean_line)]


class ProfileUpdate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name


class AccountOut(StoredOut):
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


@router.get("", summary="Returns your account.")
async def get_account(person: SignedIn, session: Reading, profiles: ProfilesDep) -> AccountOut:
    return _show_account(await profiles.describe(session, person.id))


@router.patch("", summary="Changes your name.")
async def patch_account(
    body: ProfileUpdate, person: SignedIn, session: Writing, profiles: ProfilesDep, client_info: ClientInfoDep
) -> AccountOut:
    await profiles.rename(session, person, body.name, client_info)
    return _show_account(await profiles.describe(ReadSession(session), person.id))


def _show_account(profile: Profile) -> AccountOut:
    return AccountOut.model_validate(profile)
