"""Limits on guessing. Counted in our database before the answer is known, through a door of their own.

An attempt takes its place first and gives it back when it turns out to be no failure: a hundred guesses
at once get no further than a hundred in a row, and a restart or a rolled-back request forgets nothing.
"""

import hashlib
import hmac
from dataclasses import dataclass

from basewarden.accounts import queries
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.errors import TooMany


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` attempts in `seconds`, from the first one on."""

    count: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at `scope` by `who`."""

    scope: str
    who: str
    limit: Limit


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """As PyPI has them. Not settings: nobody should have to know them; tests bring smaller ones."""

    signin_account: Limit = Limit(10, 5 * 60)
    signin_address: Limit = Limit(10, 5 * 60)
    signin_total: Limit = Limit(1000, 5 * 60)
    signup_address: Limit = Limit(20, 60 * 60)


class Attempts:
    def __init__(self, database: Database, secret: Secret) -> None:
        self._database = database
        self._secret = secret.reveal().encode()

    async def take(self, *attempts: Attempt) -> None:
        """Counts them in this order; TooMany at the first over its limit, and the rest is not counted.

        So a blocked address does not use up an account's places. The order must be the same everywhere:
        each one locks its row.
        """
        seconds = None
        async with self._database.write_now() as session:
            for attempt in attempts:
                seconds = await queries.count_attempt(
                    session, attempt.scope, self._hide(attempt), attempt.limit.count, attempt.limit.seconds
                )
                if seconds is not None:
                    break
        if seconds is not None:
            raise TooMany.retry_after(seconds, "Too many attempts. Wait a little and try again.")

    async def give_back(self, *attempts: Attempt) -> None:
        """They were no failures after all."""
        async with self._database.write_now() as session:
            for attempt in attempts:
                await queries.uncount_attempt(session, attempt.scope, self._hide(attempt))

    async def forget_old(self) -> None:
        async with self._database.write_now() as session:
            await queries.delete_old_attempts(session)

    def _hide(self, attempt: Attempt) -> bytes:
        """People type passwords into the wrong field: what they typed is not kept."""
        return hmac.digest(self._secret, f"{attempt.scope}:{attempt.who}".encode(), hashlib.sha256)
