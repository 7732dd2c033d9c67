"""Describes an account to its owner, and changes its name."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.accounts import queries as account_queries
from basewarden.accounts.github import GitHub
from basewarden.accounts.passkeys import count_passkeys
from basewarden.accounts.profile import queries
from basewarden.accounts.signin.sessions import Person, SignInSessions
from basewarden.accounts.twofactor import count_codes_left
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Profile:
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


class Profiles:
    def __init__(self, *, signins: SignInSessions, audit: Audit, github: GitHub) -> None:
        self._signins = signins
        self._audit = audit
        self._github = github

    async def describe(self, session: ReadSession, user_id: UUID) -> Profile:
        user = await account_queries.find_user(session, user_id)
        if user is None:
            raise Unauthenticated
        link = await self._github.find_link(session, user_id)
        return Profile(
            id=user.id,
            email=user.email,
            name=user.name,
            email_verified=user.email_verified_at is not None,
            has_password=user.password_hash is not None,
            two_factor=user.sealed_totp_secret is not None,
            recovery_codes_left=await count_codes_left(session, user_id),
            passkeys=await count_passkeys(session, user_id),
            github=link.login if link else None,
            deletion_due_at=user.deletion_due_at,
            created_at=user.created_at,
        )

    async def rename(self, session: WriteSession, person: Person, name: str, client_info: ClientInfo) -> None:
        """Records no event where the name is the same."""
        user = await account_queries.lock_user(session, person.id)
        if user is None:
            raise Unauthenticated
        if user.name == name:
            return
        await queries.set_name(session, person.id, name)
        await self._signins.announce_change(session, person.id)
        await self._audit.record(session, AccountEvent(person.audit_id, EventKind.PROFILE_CHANGED, client_info))
