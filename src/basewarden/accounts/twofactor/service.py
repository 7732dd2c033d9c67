"""Turns two-factor authentication on and off, verifies codes, and creates recovery codes."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.accounts import queries as account_queries
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.emails import Emails
from basewarden.accounts.errors import AlreadyOn, BadCode, OAuthOnly, ReauthRequired
from basewarden.accounts.models import Purpose, User
from basewarden.accounts.password.hashing import Passwords
from basewarden.accounts.password.service import Accounts
from basewarden.accounts.signin.sessions import Person, SignInSessions, Tokens
from basewarden.accounts.twofactor import queries
from basewarden.accounts.twofactor.checking import SECRET, Clock, CodeChecks, SecondFactorOwner, read_clock
from basewarden.accounts.twofactor.codes import TypedCode, make_codes
from basewarden.accounts.twofactor.totp import draw_qr, find_match, make_secret, make_url
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.core.secret import Secret
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import Conflict
from basewarden.vault import SealContext, Vault

_PENDING = "users.sealed_totp_pending"


@dataclass(frozen=True, slots=True)
class Setup:
    """What an authenticator app needs. `qr` is an image as a data: URL."""

    secret: Secret
    url: Secret
    qr: str


@dataclass(frozen=True, slots=True)
class NewCodes:
    """Recovery codes, of which only hashes are stored, and the new tokens of the sign-in session."""

    codes: tuple[TypedCode, ...]
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class TwoFactorState:
    """`since` is None where it is off."""

    since: datetime | None
    codes_left: int


class TwoFactor:
    def __init__(
        self,
        *,
        database: Database,
        vault: Vault,
        passwords: Passwords,
        signins: SignInSessions,
        accounts: Accounts,
        attempts: Attempts,
        audit: Audit,
        emails: Emails,
        limits: AccountLimits,
        clock: Clock = read_clock,
    ) -> None:
        self._database = database
        self._vault = vault
        self._passwords = passwords
        self._signins = signins
        self._accounts = accounts
        self._attempts = attempts
        self._limits = limits
        self._audit = audit
        self._emails = emails
        self._clock = clock
        self._checks = CodeChecks(
            database=database,
            vault=vault,
            passwords=passwords,
            attempts=attempts,
            audit=audit,
            limits=limits,
            clock=clock,
        )

    async def set_up(self, session: WriteSession, person: Person) -> Setup:
        """Stores a new pending secret, which has no effect until `enable`; an earlier pending one is replaced."""
        await self._attempts.acquire(Attempt("twofactor.setup", str(person.id), self._limits.two_factor_setup))
        secret = make_secret()
        await queries.put_pending(session, person.id, self._vault.seal(secret, SealContext(_PENDING, person.id)))
        return _make_setup(secret, person.email)

    async def find_set_up(self, person: Person, secret: Secret) -> Setup | None:
        """The pending setup, to be shown again after a wrong code; None where another secret is pending."""
        await self._attempts.acquire(Attempt("twofactor.setup", str(person.id), self._limits.two_factor_setup))
        async with self._database.read_only() as reading:
            user = await queries.get_user(reading, person.id)
        if user.sealed_totp_pending is None:
            return None
        pending = self._vault.open(user.sealed_totp_pending, SealContext(_PENDING, user.id))
        return _make_setup(pending, person.email) if pending == secret else None

    async def enable(
        self, session: WriteSession, person: Person, secret: Secret, code: Secret, client_info: ClientInfo
    ) -> NewCodes:
        """Raises AlreadyOn before ReauthRequired before BadCode, so that no one confirms their identity in vain."""
        async with self._database.read_only() as reading:
            user = await queries.get_user(reading, person.id)
        step = self._check_enabling(user, person, secret, code)
        codes, hashes = await self._make_codes(user.id)
        assert user.sealed_totp_pending is not None  # it held the secret
        sealed = self._vault.seal(secret, SealContext(SECRET, user.id))
        if not await queries.turn_on(session, user.id, pending=user.sealed_totp_pending, sealed=sealed, step=step):
            raise await self._explain_lost_race(session, user.id)
        await queries.replace_codes(session, user.id, hashes)
        await queries.forget_passed(session, user.id, but=person.signin_id)
        tokens = await self._renew(session, person)
        await self._emails.enqueue(session, "twofactor_on", person, client_info)
        await self._record(session, person, EventKind.TWOFACTOR_ON, client_info)
        return NewCodes(codes, tokens)

    async def verify(
        self, session: WriteSession, person: Person, code: Secret, client_info: ClientInfo, *, is_recovery: bool
    ) -> Tokens:
        """Completes a sign-in. It does not make the sign-in fresh."""
        await self._checks.check(session, person, code, client_info, is_recovery=is_recovery)
        tokens = await self._signins.renew(session, person.signin_id, authenticated=False, passed_mfa=True)
        await account_queries.end_tokens(session, person.id, Purpose.RESET)
        if is_recovery:
            left = await queries.count_codes_left(session, person.id)
            await self._emails.enqueue(session, "recovery_code_used", person, client_info, left=str(left))
            await self._record(session, person, EventKind.RECOVERY_CODE_USED, client_info, left=left)
        else:
            await self._record(session, person, EventKind.TWOFACTOR_PASSED, client_info, second="code")
        return tokens

    async def check_code(
        self, session: WriteSession, person: SecondFactorOwner, code: Secret, client_info: ClientInfo
    ) -> bool:
        """Checks a code for something other than signing in, with the same limits and the same rule of single use."""
        try:
            await self._checks.check(session, person, code, client_info, is_recovery=False)
        except BadCode:
            return False
        return True

    async def disable(self, session: WriteSession, person: Person, password: Secret, client_info: ClientInfo) -> Tokens:
        """Requires the password, or a fresh sign-in where there is none. Does nothing more where it is off already."""
        has_proved = await self._confirm_password(person, password, client_info)
        was_on = await queries.turn_off(session, person.id)
        tokens = await self._signins.renew(session, person.signin_id, authenticated=has_proved)
        await self._signins.announce_change(session, person.id)
        if was_on:
            await self._emails.enqueue(session, "twofactor_off", person, client_info)
            await self._record(session, person, EventKind.TWOFACTOR_OFF, client_info)
        return tokens

    async def renew_codes(self, session: WriteSession, person: Person, client_info: ClientInfo) -> NewCodes:
        """Replaces the recovery codes with ten new ones. Conflict where two-factor authentication is off."""
        codes, hashes = await self._make_codes(person.id)
        if not await queries.lock_if_on(session, person.id):
            raise Conflict("Two-factor authentication is off, so there are no recovery codes.")
        await queries.replace_codes(session, person.id, hashes)
        tokens = await self._renew(session, person)
        await self._record(session, person, EventKind.RECOVERY_CODES_MADE, client_info)
        return NewCodes(codes, tokens)

    def _check_enabling(self, user: User, person: Person, secret: Secret, code: Secret) -> int:
        """Returns the time step of the code."""
        if user.sealed_totp_secret is not None:
            raise AlreadyOn
        if not person.is_fresh:
            raise ReauthRequired
        if user.sealed_totp_pending is None:
            raise BadCode
        pending = self._vault.open(user.sealed_totp_pending, SealContext(_PENDING, user.id))
        match = find_match(pending, code, self._clock()) if pending == secret else None
        if match is None or not match.is_good:
            raise BadCode(hint=match.explain() if match else None)
        return match.step

    async def _explain_lost_race(self, session: WriteSession, user_id: UUID) -> AlreadyOn | BadCode:
        """It was turned on, or a new setup was started, while the codes were hashed."""
        user = await queries.get_user(session, user_id)
        return BadCode() if user.sealed_totp_secret is None else AlreadyOn()

    async def _make_codes(self, user_id: UUID) -> tuple[tuple[TypedCode, ...], dict[int, str]]:
        """Ten codes and their hashes; limited, because other people's sign-ins wait for the hashing.

        Call it while no database connection is held.
        """
        await self._attempts.acquire(Attempt("recovery.codes", str(user_id), self._limits.recovery_codes))
        codes = make_codes()
        hashes = await asyncio.gather(*(self._passwords.hash(code.text) for code in codes))
        return codes, {code.position: code_hash for code, code_hash in zip(codes, hashes, strict=True)}

    async def _confirm_password(self, person: Person, password: Secret, client_info: ClientInfo) -> bool:
        """True where the password was checked, False where there is none and the sign-in is fresh."""
        try:
            await self._accounts.confirm_password(person, password, client_info, failure=EventKind.TWOFACTOR_OFF_FAILED)
        except OAuthOnly:
            if not person.is_fresh:
                raise ReauthRequired from None
            return False
        return True

    async def _renew(self, session: WriteSession, person: Person) -> Tokens:
        """Renews the session after a change of the second factor, which the person has just verified."""
        tokens = await self._signins.renew(session, person.signin_id, authenticated=False, passed_mfa=True)
        await self._signins.announce_change(session, person.id)
        return tokens

    async def _record(
        self, session: WriteSession, person: Person, kind: EventKind, client_info: ClientInfo, **details: str | int
    ) -> None:
        await self._audit.record(session, AccountEvent(person.audit_id, kind, client_info, details=details))


async def describe_state(session: ReadSession | WriteSession, user_id: UUID) -> TwoFactorState:
    user = await queries.get_user(session, user_id)
    return TwoFactorState(user.totp_enabled_at, await queries.count_codes_left(session, user_id))


async def count_codes_left(session: ReadSession, user_id: UUID) -> int:
    """The number of unused recovery codes."""
    return await queries.count_codes_left(session, user_id)


def _make_setup(secret: Secret, email: str) -> Setup:
    url = make_url(secret, email)
    return Setup(secret, url, draw_qr(url))
