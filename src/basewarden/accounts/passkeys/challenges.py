"""WebAuthn challenges: each is for one purpose and one person, and valid once, for minutes."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from basewarden.accounts.passkeys import queries
from basewarden.accounts.passkeys.relying_party import TIMEOUT_SECONDS
from basewarden.core.ids import make_id
from basewarden.db import Database

TTL = timedelta(seconds=TIMEOUT_SECONDS)
_BYTES = 32


class ChallengePurpose(StrEnum):
    """What an answer to a challenge may be used for."""

    ADDING = "add"
    SIGNING_IN = "signin"
    SECOND_FACTOR = "second_factor"
    CONFIRMING = "confirm"


@dataclass(frozen=True, slots=True)
class Challenge:
    id: UUID
    value: bytes


class Challenges:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(self, purpose: ChallengePurpose, user_id: UUID | None = None) -> Challenge:
        """`user_id` is None for signing in. Also deletes expired ones."""
        challenge = Challenge(make_id(), secrets.token_bytes(_BYTES))
        async with self._database.write_now() as session:
            await queries.delete_old_challenges(session)
            await queries.insert_challenge(
                session, challenge.id, user_id=user_id, purpose=purpose, challenge=challenge.value, ttl=TTL
            )
        return challenge

    async def consume(self, challenge_id: UUID, purpose: ChallengePurpose, user_id: UUID | None = None) -> bytes | None:
        """In its own transaction, so that a refused answer uses it up as well."""
        async with self._database.write_now() as session:
            return await queries.consume_challenge(session, challenge_id, user_id=user_id, purpose=purpose)
