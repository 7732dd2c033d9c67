"""Checks codes of the second factor: attempts are counted before the check, and a code is valid once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts, Limit
from basewarden.accounts.errors import BadCode
from basewarden.accounts.models import User
from basewarden.accounts.password.hashing import Passwords
from basewarden.accounts.twofactor import queries
from basewarden.accounts.twofactor.codes import read_code
from basewarden.accounts.twofactor.totp import TotpMatch, find_match
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.core.secret import Secret
from basewarden.db import Database, WriteSession
from basewarden.vault import SealContext, Vault

Clock = Callable[[], datetime]
SECRET = "users.sealed_totp_secret"  # noqa: S105 - the name of a column
_ONCE = Limit(1, 15 * 60)  # outlives every step in which a code is looked for


def read_clock() -> datetime:
    return datetime.now(UTC)


class SecondFactorOwner(Protocol):
    """A `Person` or a `User`, with the audit id."""

    @property
    def id(self) -> UUID: ...

    @property
    def audit_id(self) -> UUID: ...


@dataclass(frozen=True, slots=True)
class _UsedStep:
    step: int


@dataclass(frozen=True, slots=True)
class _RecoveryCode:
    position: int
    code_hash: str


class CodeChecks:
    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        passwords: Passwords,
        attempts: Attempts,
        audit: Audit,
        limits: AccountLimits,
        clock: Clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._passwords = passwords
        self._attempts = attempts
        self._audit = audit
        self._limits = limits
        self._clock = clock

    async def check(
        self,
        session: WriteSession,
        person: SecondFactorOwner,
        typed: Secret,
        client_info: ClientInfo,
        *,
        is_recovery: bool,
    ) -> None:
        """Uses the code up. Raises BadCode, which is audited, where it is wrong or used, and TooMany before the check.

        It holds one database connection at a time, so that many requests cannot exhaust the pool.
        """
        counted = count_second_factor(self._limits, person.id, client_info.address)
        await self._attempts.acquire(*counted)
        try:
            found = await (self._find_recovery_code if is_recovery else self._find_step)(person.id, typed)
            await self._attempts.release(*counted)
            await self._use_up(session, person.id, found)
        except BadCode:
            details = {"second": "recovery_code" if is_recovery else "code"}
            await self._audit.record_now(
                AccountEvent(person.audit_id, EventKind.TWOFACTOR_FAILED, client_info, details=details)
            )
            raise

    async def _find_step(self, user_id: UUID, typed: Secret) -> _UsedStep:
        async with self._database.read_only() as reading:
            user = await queries.get_user(reading, user_id)
        match = self._find_match(user, typed)
        if match is None or match.step <= user.totp_last_step or not await self._is_first_look(user_id, match):
            raise BadCode
        if not match.is_good:
            raise BadCode(hint=match.explain())
        return _UsedStep(match.step)

    def _find_match(self, user: User, typed: Secret) -> TotpMatch | None:
        if user.sealed_totp_secret is None:
            return None
        secret = self._vault.open(user.sealed_totp_secret, SealContext(SECRET, user.id))
        return find_match(secret, typed, self._clock())

    async def _is_first_look(self, user_id: UUID, match: TotpMatch) -> bool:
        """False where an earlier answer has revealed already that the code belongs to this step.

        Without it, a guess that hits a code of the next minutes would be confirmed, and be valid a few minutes later.
        """
        return await self._attempts.try_acquire(Attempt("second_factor.step", f"{user_id}:{match.step}", _ONCE))

    async def _find_recovery_code(self, user_id: UUID, typed: Secret) -> _RecoveryCode:
        """Computes one slow hash for any text."""
        code = read_code(typed)
        code_hash = None
        if code is not None:
            async with self._database.read_only() as reading:
                code_hash = await queries.find_code_hash(reading, user_id, code.position)
        is_right = await self._passwords.is_right(code.text if code else typed, code_hash)
        if code is None or code_hash is None or not is_right:
            raise BadCode
        return _RecoveryCode(code.position, code_hash)

    async def _use_up(self, session: WriteSession, user_id: UUID, found: _UsedStep | _RecoveryCode) -> None:
        match found:
            case _UsedStep(step):
                is_taken = await queries.consume_step(session, user_id, step)
            case _RecoveryCode(position, code_hash):
                is_taken = await queries.consume_code(session, user_id, position, code_hash)
        if not is_taken:
            raise BadCode


def count_second_factor(limits: AccountLimits, user_id: UUID, address: str | None) -> tuple[Attempt, ...]:
    """The attempts that one try at a second factor counts as; codes and passkeys share the limits."""
    return (
        *_count("second_factor.address", address or "", limits.second_factor_address),
        *_count("second_factor.account", str(user_id), limits.second_factor_account),
    )


def _count(scope: str, who: str, limits: tuple[Limit, ...]) -> tuple[Attempt, ...]:
    return tuple(Attempt(f"{scope}.{limit.seconds}", who, limit) for limit in limits)
