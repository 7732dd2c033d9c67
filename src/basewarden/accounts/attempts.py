"""Limits on guessing. Counted in our database before the answer is known, through a door of their own.

An attempt takes its place first and gives it back when it turns out to be no failure: a hundred guesses
at once get no further than a hundred in a row, and a restart or a rolled-back request forgets nothing.
"""

import hashlib
import hmac
import ipaddress
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
    """As PyPI has them. Not settings: nobody should have to know them; tests bring smaller ones.

    Those of letters are kept quietly: the answer is the same when no further letter goes out.
    """

    signin_account: Limit = Limit(10, 5 * 60)
    signin_address: Limit = Limit(10, 5 * 60)
    signin_total: Limit = Limit(1000, 5 * 60)
    signup_address: Limit = Limit(300, 60 * 60)
    signup_total: Limit = Limit(3000, 60 * 60)
    password_account: Limit = Limit(10, 5 * 60)  # an own password asked for once more
    forgot_address: Limit = Limit(60, 60 * 60)
    reset_letters: Limit = Limit(5, 24 * 60 * 60)
    verify_account: Limit = Limit(10, 60 * 60)
    verify_letters: Limit = Limit(3, 6 * 60 * 60)
    email_change_account: Limit = Limit(10, 24 * 60 * 60)
    address_letters: Limit = Limit(3, 6 * 60 * 60)  # to an address that somebody else typed
    second_factor_account: tuple[Limit, ...] = (Limit(5, 5 * 60), Limit(20, 60 * 60), Limit(50, 24 * 60 * 60))
    second_factor_address: tuple[Limit, ...] = (Limit(10, 5 * 60), Limit(50, 60 * 60))
    two_factor_setup: Limit = Limit(30, 5 * 60)  # each one draws a QR code
    recovery_codes: Limit = Limit(10, 60 * 60)  # each time ten slow hashes, which everybody waits for
    passkey_options: Limit = Limit(60, 5 * 60)  # each one keeps a challenge for minutes
    github_start: Limit = Limit(60, 5 * 60)  # the same


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

    async def try_take(self, *attempts: Attempt) -> bool:
        """Counts them like `take`, and says quietly whether there was room."""
        try:
            await self.take(*attempts)
        except TooMany:
            return False
        return True

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
        return hmac.digest(self._secret, f"{attempt.scope}:{_find_household(attempt.who)}".encode(), hashlib.sha256)


def _find_household(who: str) -> str:
    """Whoever has one IPv6 address has all of its /64; anything else is itself."""
    try:
        address = ipaddress.IPv6Address(who)
    except ValueError:
        return who
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address.packed[:8] + bytes(8), 64)))
