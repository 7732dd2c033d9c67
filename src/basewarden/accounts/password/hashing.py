"""Hashes passwords with argon2id; the parameters are part of the hash."""

import asyncio
import unicodedata
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from basewarden.core.secret import Secret
from basewarden.core.tokens import make_opaque_token

_HASHES_AT_ONCE = 2  # each takes 64 MiB and a core


@dataclass(frozen=True)
class PasswordCost:
    """The second recommended option of RFC 9106."""

    rounds: int = 3
    kibibytes: int = 64 * 1024
    lanes: int = 4


class Passwords:
    """Hashes and checks in threads, a few at a time; further calls wait."""

    def __init__(self, cost: PasswordCost) -> None:
        self._hasher = PasswordHasher(cost.rounds, cost.kibibytes, cost.lanes)
        self._turns = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._dummy = self._hasher.hash(make_opaque_token())

    async def hash(self, password: Secret) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _normalise(password))

    async def is_right(self, password: Secret, password_hash: str | None) -> bool:
        """Takes as long without a hash (an unknown person) as with one."""
        async with self._turns:
            return await asyncio.to_thread(self._check, password, password_hash or self._dummy)

    def is_outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)

    def _check(self, password: Secret, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _normalise(password))
        except (VerificationError, InvalidHashError):
            return False


def _normalise(password: Secret) -> bytes:
    """NFC, so that é is the same from every keyboard; nothing is case-folded, trimmed or cut."""
    return unicodedata.normalize("NFC", password.reveal()).encode()
