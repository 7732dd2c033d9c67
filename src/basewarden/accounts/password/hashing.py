"""Passwords: argon2id with its parameters in the hash."""

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
    """RFC 9106's second recommended choice."""

    rounds: int = 3
    kibibytes: int = 64 * 1024
    lanes: int = 4


class Passwords:
    """Hashes and checks in threads, a few at once; everybody else waits their turn."""

    def __init__(self, cost: PasswordCost) -> None:
        self._hasher = PasswordHasher(cost.rounds, cost.kibibytes, cost.lanes)
        self._turns = asyncio.Semaphore(_HASHES_AT_ONCE)
        self._dummy = self._hasher.hash(make_opaque_token())

    async def hash(self, password: Secret) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _normalise(password))

    async def is_right(self, password: Secret, password_hash: str | None) -> bool:
        """Takes as long for an unknown person (no hash) as for a known one."""
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
    """NFC, so that é is é on every keyboard; nothing is folded, trimmed or cut."""
    return unicodedata.normalize("NFC", password.reveal()).encode()
