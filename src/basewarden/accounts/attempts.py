"""Limits on guessing. Attempts are counted in our database, in their own transaction, before their outcome is known.

An attempt is acquired first, and released when it was not a failure: a hundred guesses at the same time get no further
than a hundred in a row, and a restart or a rolled-back request resets nothing.
"""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass, replace

from basewarden.accounts import queries
from basewarden.core.secret import Secret
from basewarden.db import Database, WriteSession
from basewarden.errors import TooMany

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_ADVICE = "Too many attempts. Wait a moment and try again."


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` attempts in `seconds`, from the first one on."""

    count: int
    seconds: int

    def times(self, factor: int) -> "Limit":
        return Limit(self.count * factor, self.seconds)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at `scope` by `who`. An attempt of an IP address also counts for its networks.

    `advice` is the error's text where this limit is reached.
    """

    scope: str
    who: str
    limit: Limit
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """The same as PyPI's. They are not settings; tests pass smaller ones.

    Limits of emails do not change the answer: it is the same when no further email is sent.
    """

    signin_account: Limit = Limit(10, 5 * 60)
    signin_address: Limit = Limit(10, 5 * 60)
    signin_device: Limit = Limit(10, 5 * 60)  # in place of the others where the browser is recognised
    signin_total: Limit = Limit(1000, 5 * 60)  # does not apply to recognised browsers
    signup_address: Limit = Limit(300, 60 * 60)
    signup_total: Limit = Limit(3000, 60 * 60)
    password_account: Limit = Limit(10, 5 * 60)  # where a signed-in person's password is checked again
    forgot_address: Limit = Limit(60, 60 * 60)
    reset_emails: Limit = Limit(5, 24 * 60 * 60)
    verify_account: Limit = Limit(10, 60 * 60)
    verify_emails: Limit = Limit(3, 6 * 60 * 60)
    email_change_account: Limit = Limit(10, 24 * 60 * 60)
    address_emails: Limit = Limit(3, 6 * 60 * 60)  # to an address that another person typed
    second_factor_account: tuple[Limit, ...] = (Limit(5, 5 * 60), Limit(20, 60 * 60), Limit(50, 24 * 60 * 60))
    second_factor_address: tuple[Limit, ...] = (Limit(10, 5 * 60), Limit(50, 60 * 60))
    two_factor_setup: Limit = Limit(30, 5 * 60)  # each renders a QR code
    recovery_codes: Limit = Limit(10, 60 * 60)  # each computes ten slow hashes, which other sign-ins wait for
    passkey_options: Limit = Limit(60, 5 * 60)  # each stores a challenge for minutes
    github_start: Limit = Limit(60, 5 * 60)  # the same


WIDER_NETWORKS = {4: ((24, 5),), 6: ((56, 2), (48, 5))}
"""By IP version: prefix lengths that are counted beside the address (an IPv6 /64), and the factor of their limit.

Customers get between a /64 and a /48 of IPv6, and hosting companies rent out neighbouring IPv4 addresses: that must
not give one attacker 65,536 times the attempts.
"""


class Attempts:
    def __init__(self, database: Database, secret: Secret) -> None:
        self._database = database
        self._secret = secret.reveal().encode()

    async def acquire(self, *attempts: Attempt) -> None:
        """Counts them in this order; TooMany at the first over its limit, and the rest is not counted.

        So a blocked address does not use up an account's attempts. The order must be the same everywhere, because
        each locks its row.
        """
        async with self._database.write_now() as session:
            refusal = await self._count(session, attempts)
        if refusal is not None:
            raise refusal

    async def _count(self, session: WriteSession, attempts: tuple[Attempt, ...]) -> TooMany | None:
        for attempt in attempts:
            for part in _spread(attempt):
                limit = part.limit
                seconds = await queries.count_attempt(session, part.scope, self._hide(part), limit.count, limit.seconds)
                if seconds is not None:
                    return TooMany.retry_after(seconds, part.advice or _ADVICE)
        return None

    async def try_acquire(self, *attempts: Attempt) -> bool:
        """Counts them like `acquire`; False where a limit is reached."""
        try:
            await self.acquire(*attempts)
        except TooMany:
            return False
        return True

    async def release(self, *attempts: Attempt) -> None:
        """Uncounts attempts that were not failures."""
        async with self._database.write_now() as session:
            for attempt in attempts:
                for part in _spread(attempt):
                    await queries.uncount_attempt(session, part.scope, self._hide(part))

    async def forget_old(self) -> None:
        async with self._database.write_now() as session:
            await queries.delete_old_attempts(session)

    def _hide(self, attempt: Attempt) -> bytes:
        """A keyed hash, because people sometimes type a password into the email field."""
        return hmac.digest(self._secret, f"{attempt.scope}:{attempt.who}".encode(), hashlib.sha256)


def _spread(attempt: Attempt) -> list[Attempt]:
    """The attempt itself, then those of the networks that its address is in, the smallest first."""
    address = _read_address(attempt.who)
    if address is None:
        return [attempt]
    whole = 64 if address.version == 6 else 32
    steps = ((whole, 1), *WIDER_NETWORKS[address.version])
    return [_of_network(attempt, address, prefix, factor) for prefix, factor in steps]


def _of_network(attempt: Attempt, address: _Address, prefix: int, factor: int) -> Attempt:
    network = ipaddress.ip_network((address.packed, prefix), strict=False)
    return replace(attempt, who=str(network), limit=attempt.limit.times(factor))


def _read_address(who: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(who)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
