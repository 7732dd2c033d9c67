"""Pending authorizations: each is valid once, in the browser that started it, for minutes."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hmac import compare_digest
from uuid import UUID

from basewarden.accounts.github import queries
from basewarden.core.tokens import hash_token, make_opaque_token
from basewarden.db import Database

TTL = timedelta(minutes=10)
_VERIFIER_BYTES = 48


class AuthorizationPurpose(StrEnum):
    """What a callback may be used for."""

    SIGNING_IN = "signin"
    LINKING = "link"
    CONFIRMING = "confirm"


@dataclass(frozen=True, slots=True, repr=False)
class NewState:
    """`state` goes to GitHub and `browser` into a cookie. `verifier` is sent only with the code."""

    state: str
    browser: str
    verifier: str


@dataclass(frozen=True, slots=True, repr=False)
class PendingAuthorization:
    """The stored half of an authorization. `user_id` is None for signing in."""

    purpose: AuthorizationPurpose
    user_id: UUID | None
    verifier: str
    back_to: str


class OAuthStates:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(self, purpose: AuthorizationPurpose, user_id: UUID | None, back_to: str) -> NewState:
        """Also deletes expired ones."""
        new_state = NewState(make_opaque_token(), make_opaque_token(), secrets.token_urlsafe(_VERIFIER_BYTES))
        async with self._database.write_now() as session:
            await queries.delete_old_states(session)
            await queries.insert_state(
                session,
                hash_token(new_state.state),
                browser_hash=hash_token(new_state.browser),
                purpose=purpose,
                user_id=user_id,
                code_verifier=new_state.verifier,
                back_to=back_to,
                ttl=TTL,
            )
        return new_state

    async def consume(self, state: str, browser: str) -> PendingAuthorization | None:
        """None where it is unknown, another browser's or expired. It is deleted in any case."""
        async with self._database.write_now() as session:
            row = await queries.consume_state(session, hash_token(state))
        if row is None or not row.is_good or not compare_digest(row.browser_hash, hash_token(browser)):
            return None
        return PendingAuthorization(AuthorizationPurpose(row.purpose), row.user_id, row.code_verifier, row.back_to)
