"""Adds and removes passkeys, and verifies them for signing in, as the second factor and for confirming an identity.

A passkey verifies its user (fingerprint, face or PIN) before it signs, so it counts as both factors.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from basewarden.accounts import queries as account_queries
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.emails import Emails
from basewarden.accounts.errors import BadCode, InvalidCredentials
from basewarden.accounts.models import Passkey, Purpose
from basewarden.accounts.passkeys import queries
from basewarden.accounts.passkeys.challenges import Challenge, ChallengePurpose, Challenges
from basewarden.accounts.passkeys.errors import BadPasskey, LastSignInMethod, NoPasskey, PasskeyTaken, TooManyPasskeys
from basewarden.accounts.passkeys.relying_party import AssertionResult, RelyingParty
from basewarden.accounts.passkeys.schemas import PasskeyAssertion, PasskeyRegistration
from basewarden.accounts.signin.sessions import Person, SignInSessions, Tokens
from basewarden.accounts.twofactor import count_second_factor
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.core.ids import make_id
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import AppError, NotFound
from basewarden.settings import Settings

MAX_PASSKEYS = 20
_REFUSED = "This passkey could not be verified. Try again, or sign in another way."


@dataclass(frozen=True, slots=True)
class CeremonyOptions:
    """The options of a WebAuthn ceremony, and the id of their challenge."""

    challenge_id: UUID
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class VerifiedAssertion:
    """A passkey whose assertion was verified. `subject` is the audit id of its user."""

    passkey: Passkey
    subject: UUID
    use: AssertionResult

    def make_event(self, kind: EventKind, client_info: ClientInfo, **means: str) -> AccountEvent:
        return AccountEvent(
            self.subject, kind, client_info, {"passkey": self.passkey.id, "name": self.passkey.name, **means}
        )


class Passkeys:
    def __init__(
        self,
        *,
        database: Database,
        signins: SignInSessions,
        attempts: Attempts,
        emails: Emails,
        audit: Audit,
        settings: Settings,
        limits: AccountLimits,
    ) -> None:
        self._database = database
        self._signins = signins
        self._attempts = attempts
        self._emails = emails
        self._audit = audit
        self._limits = limits
        self._challenges = Challenges(database)
        self._party = RelyingParty(settings)

    async def make_registration_options(self, person: Person) -> CeremonyOptions:
        async with self._database.read_only() as reading:
            have = await queries.list_passkeys(reading, person.id)
        if len(have) >= MAX_PASSKEYS:
            raise TooManyPasskeys
        challenge = await self._make_challenge(ChallengePurpose.ADDING, person.id)
        options = self._party.make_creation_options(
            challenge.value, user_id=person.id, email=person.email, name=person.name, have=have
        )
        return CeremonyOptions(challenge.id, options)

    async def add(
        self, session: WriteSession, person: Person, given: PasskeyRegistration, client_info: ClientInfo
    ) -> tuple[UUID, str, Tokens]:
        """Returns its id and name, and new tokens for this session, because a sign-in method has changed."""
        challenge = await self._challenges.consume(given.challenge_id, ChallengePurpose.ADDING, person.id)
        key = self._party.verify_registration(given.credential, challenge) if challenge is not None else None
        if key is None:
            raise BadPasskey
        passkey_id, name = make_id(), given.name or _make_name()
        await account_queries.lock_user(session, person.id)
        if await queries.count_passkeys(session, person.id) >= MAX_PASSKEYS:
            raise TooManyPasskeys
        if not await queries.insert_passkey_if_new(session, passkey_id, user_id=person.id, name=name, key=key):
            raise PasskeyTaken
        tokens = await self._signins.renew(session, person.signin_id, authenticated=False)
        await self._emails.enqueue(session, "passkey_added", person, client_info, passkey=name)
        await self._note(session, person, EventKind.PASSKEY_ADDED, client_info, passkey_id, name)
        return passkey_id, name, tokens

    async def rename(
        self, session: WriteSession, person: Person, passkey_id: UUID, name: str, client_info: ClientInfo
    ) -> Passkey:
        passkey = await queries.rename_passkey(session, person.id, passkey_id, name)
        if passkey is None:
            raise NotFound
        await self._note(session, person, EventKind.PASSKEY_RENAMED, client_info, passkey_id, name)
        return passkey

    async def remove(
        self,
        session: WriteSession,
        person: Person,
        passkey_id: UUID,
        client_info: ClientInfo,
        *,
        end_others: bool = False,
    ) -> Tokens:
        """LastSignInMethod where none would be left. `end_others` ends every other sign-in session too."""
        await account_queries.lock_user(session, person.id)
        name = await queries.delete_passkey(session, person.id, passkey_id)
        if name is None:
            raise NotFound
        if not await queries.has_another_signin_method(session, person.id, but=passkey_id):
            raise LastSignInMethod
        tokens = await self._signins.renew(session, person.signin_id, authenticated=False)
        if end_others:
            await self._signins.end_all(session, person.id, but=person.signin_id)
        await self._emails.enqueue(session, "passkey_removed", person, client_info, passkey=name)
        await self._note(session, person, EventKind.PASSKEY_REMOVED, client_info, passkey_id, name)
        return tokens

    async def make_signin_options(self, client_info: ClientInfo) -> CeremonyOptions:
        """Names no account: the browser finds the passkeys of this site by itself."""
        challenge = await self._make_challenge(ChallengePurpose.SIGNING_IN, None, client_info.address)
        return CeremonyOptions(challenge.id, self._party.make_request_options(challenge.value))

    async def sign_in(
        self, session: WriteSession, given: PasskeyAssertion, client_info: ClientInfo, *, previous_token: str | None
    ) -> Tokens:
        """Starts a fully signed-in session; the session of `previous_token` ends."""
        counted = Attempt("signin.address", client_info.address or "", self._limits.signin_address)
        await self._attempts.acquire(counted)  # not counted in total: a signature cannot be guessed
        challenge = await self._challenges.consume(given.challenge_id, ChallengePurpose.SIGNING_IN)
        refusal = _Refusal(InvalidCredentials(_REFUSED), EventKind.SIGNIN_FAILED, client_info)
        assertion = await self._check(given, challenge, refusal, owner=None)
        await self._attempts.release(counted)
        user_id = assertion.passkey.user_id
        await account_queries.lock_user(session, user_id)
        await self._use_up(session, assertion, refusal)
        await account_queries.end_tokens(session, user_id, Purpose.RESET)
        if previous_token:
            await self._signins.end(session, previous_token)
        tokens = await self._signins.start(session, user_id, client_info, method="passkey", passed_mfa=True)
        await self._audit.record(session, assertion.make_event(EventKind.SIGNIN, client_info, method="passkey"))
        return tokens

    async def make_second_factor_options(self, person: Person) -> CeremonyOptions:
        return await self._make_own_options(ChallengePurpose.SECOND_FACTOR, person)

    async def pass_second_factor(
        self, session: WriteSession, person: Person, given: PasskeyAssertion, client_info: ClientInfo
    ) -> Tokens:
        """Counted together with codes: the limit is for the second factor as a whole."""
        counted = count_second_factor(self._limits, person.id, client_info.address)
        await self._attempts.acquire(*counted)
        challenge = await self._challenges.consume(given.challenge_id, ChallengePurpose.SECOND_FACTOR, person.id)
        refusal = _Refusal(BadCode(BadPasskey.message), EventKind.TWOFACTOR_FAILED, client_info)
        assertion = await self._check(given, challenge, refusal, owner=person)
        await self._attempts.release(*counted)
        await self._use_up(session, assertion, refusal)
        tokens = await self._signins.renew(session, person.signin_id, passed_mfa=True)
        await account_queries.end_tokens(session, person.id, Purpose.RESET)
        await self._audit.record(
            session, assertion.make_event(EventKind.TWOFACTOR_PASSED, client_info, second="passkey")
        )
        return tokens

    async def make_reauth_options(self, person: Person) -> CeremonyOptions:
        return await self._make_own_options(ChallengePurpose.CONFIRMING, person)

    async def confirm(
        self, session: WriteSession, person: Person, given: PasskeyAssertion, client_info: ClientInfo
    ) -> Tokens:
        """Confirms the identity of the signed-in person."""
        challenge = await self._challenges.consume(given.challenge_id, ChallengePurpose.CONFIRMING, person.id)
        refusal = _Refusal(BadPasskey(), EventKind.SIGNIN_FAILED, client_info)
        assertion = await self._check(given, challenge, refusal, owner=person)
        await self._use_up(session, assertion, refusal)
        tokens = await self._signins.renew(session, person.signin_id)
        await self._audit.record(
            session, assertion.make_event(EventKind.REAUTHENTICATED, client_info, method="passkey")
        )
        return tokens

    async def _make_own_options(self, purpose: ChallengePurpose, person: Person) -> CeremonyOptions:
        async with self._database.read_only() as reading:
            own = await queries.list_passkeys(reading, person.id)
        if not own:
            raise NoPasskey
        challenge = await self._make_challenge(purpose, person.id)
        return CeremonyOptions(challenge.id, self._party.make_request_options(challenge.value, of=own))

    async def _make_challenge(
        self, purpose: ChallengePurpose, user_id: UUID | None, address: str | None = None
    ) -> Challenge:
        """Limited, because each is a row for minutes."""
        who = str(user_id) if user_id else address or ""
        await self._attempts.acquire(Attempt("passkey.options", who, self._limits.passkey_options))
        return await self._challenges.make(purpose, user_id)

    async def _check(
        self, given: PasskeyAssertion, challenge: bytes | None, refusal: "_Refusal", *, owner: Person | None
    ) -> VerifiedAssertion:
        """Holds one database connection at a time. Without `owner` the passkey must name its user."""
        async with self._database.read_only() as reading:
            row = await queries.find_by_credential(reading, given.credential.id)
        if row is None or (owner is not None and row[0].user_id != owner.id):
            raise await self._refuse(refusal, owner.audit_id if owner else None)
        passkey, subject = row
        use = None
        if challenge is not None and _is_handle_right(given, passkey, may_be_missing=owner is not None):
            use = self._party.verify_assertion(given.credential, challenge, passkey)
        if use is None:
            raise await self._refuse(refusal, subject)
        if _went_back(passkey, use):
            raise await self._refuse(refusal, subject, passkey=passkey)
        return VerifiedAssertion(passkey, subject, use)

    async def _use_up(self, session: WriteSession, assertion: VerifiedAssertion, refusal: "_Refusal") -> None:
        """Checks the sign count again with the row locked: of a key and its clone at the same time, one is refused."""
        passkey = await queries.lock_passkey(session, assertion.passkey.id)
        if passkey is None:
            raise await self._refuse(refusal, assertion.subject)
        if _went_back(passkey, assertion.use):
            raise await self._refuse(refusal, assertion.subject, passkey=passkey)
        await queries.set_used(session, passkey.id, assertion.use)

    async def _refuse(self, refusal: "_Refusal", subject: UUID | None, *, passkey: Passkey | None = None) -> AppError:
        """`passkey` is given where its sign count went back, which means that it was cloned."""
        if subject is not None and passkey is not None:
            copied = AccountEvent(
                subject, EventKind.PASSKEY_COPIED, refusal.client_info, {"passkey": passkey.id, "name": passkey.name}
            )
            await self._audit.record_now(copied)
        elif subject is not None:
            await self._audit.record_now(
                AccountEvent(subject, refusal.kind, refusal.client_info, details=refusal.means)
            )
        return refusal.error

    async def _note(
        self,
        session: WriteSession,
        person: Person,
        kind: EventKind,
        client_info: ClientInfo,
        passkey_id: UUID,
        name: str,
    ) -> None:
        event = AccountEvent(person.audit_id, kind, client_info, {"passkey": passkey_id, "name": name})
        await self._audit.record(session, event)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """The error of every failure of one call, and the event that is recorded."""

    error: AppError
    kind: EventKind
    client_info: ClientInfo

    @property
    def means(self) -> dict[str, str]:
        return {"second" if self.kind == EventKind.TWOFACTOR_FAILED else "method": "passkey"}


async def list_passkeys(session: ReadSession, user_id: UUID) -> list[Passkey]:
    return await queries.list_passkeys(session, user_id)


async def count_passkeys(session: ReadSession, user_id: UUID) -> int:
    return await queries.count_passkeys(session, user_id)


async def get_passkey(session: ReadSession, user_id: UUID, passkey_id: UUID) -> Passkey:
    passkey = await queries.find_passkey(session, user_id, passkey_id)
    if passkey is None:
        raise NotFound
    return passkey


def _is_handle_right(given: PasskeyAssertion, passkey: Passkey, *, may_be_missing: bool) -> bool:
    """Whether the user handle is the passkey's user."""
    handle = given.credential.response.user_handle
    return may_be_missing if handle is None else handle == passkey.user_id.bytes


def _went_back(passkey: Passkey, use: AssertionResult) -> bool:
    """Sign counts must increase; many authenticators do not count, and always send 0."""
    return (use.sign_count > 0 or passkey.sign_count > 0) and use.sign_count <= passkey.sign_count


def _make_name() -> str:
    today = datetime.now(UTC)
    return f"Passkey of {today.day} {today:%b %Y}"
