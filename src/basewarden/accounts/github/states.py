"""What has begun and has not come back: taken once, in the browser that began it, within minutes."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hmac import compare_digest
from uuid import UUID

from basewarden.accounts.github import queries
from basewarden.core.tokens import hash_token, make_opaque_token
from basewarden.db import Database

HOLDS = timedelta(minutes=10)
_VERIFIER_BYTES = 48


class AuthorizationPurpose(StrEnum):
    """What coming back is good for, and for nothing else."""

    SIGNING_IN = "signin"
    LINKING = "link"
    CONFIRMING = "confirm"


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """`state` goes to GitHub, `browser` into a cookie, `verifier` nowhere until the code comes."""

    state: str
    browser: str
    verifier: str


@dataclass(frozen=True, slots=True, repr=False)
class AuthorizationCallback:
    """One that came back. `user_id` None = whoever signs in."""

    purpose: AuthorizationPurpose
    user_id: UUID | None
    verifier: str
    back_to: str


class States:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(self, purpose: AuthorizationPurpose, user_id: UUID | None, back_to: str) -> Begun:
        """Sweeps old ones out."""
        begun = Begun(make_opaque_token(), make_opaque_token(), secrets.token_urlsafe(_VERIFIER_BYTES))
        async with self._database.write_now() as session:
            await queries.delete_old_states(session)
            await queries.insert_state(
                session,
                hash_token(begun.state),
                browser_hash=hash_token(begun.browser),
                purpose=purpose,
                user_id=user_id,
                code_verifier=begun.verifier,
                back_to=back_to,
                holds=HOLDS,
            )
        return begun

    async def take(self, state: str, browser: str) -> AuthorizationCallback | None:
        """None where there is none, where it is another browser's or where it is old; it is gone in any case."""
        async with self._database.write_now() as session:
            row = await queries.take_state(session, hash_token(state))
        if row is None or not row.is_good or not compare_digest(row.browser_hash, hash_token(browser)):
            return None
        return AuthorizationCallback(AuthorizationPurpose(row.purpose), row.user_id, row.code_verifier, row.back_to)
