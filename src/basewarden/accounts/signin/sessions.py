"""Sign-in sessions: looked up by cookie, cached for seconds, started, renewed and ended."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any
from uuid import UUID

from starlette.requests import cookie_parser

from basewarden.accounts import queries as account_queries
from basewarden.accounts.errors import MfaRequired
from basewarden.accounts.models import Purpose, SignInSession, User
from basewarden.accounts.signin import queries
from basewarden.audit import ClientInfo
from basewarden.core.cache import LoadingCache
from basewarden.core.ids import make_id
from basewarden.core.logs import bind_log_context
from basewarden.core.tokens import hash_token, make_opaque_token
from basewarden.db import Database, Listener, ReadSession, WriteSession
from basewarden.errors import Unauthenticated
from basewarden.settings import Settings
from basewarden.web import header_values, mfa_cookie_name, session_cookie_name

IDLE_TIMEOUT = timedelta(days=30)
ABSOLUTE_LIFETIME = timedelta(days=90)
MFA_TTL = timedelta(hours=24)
FRESH_TTL = timedelta(minutes=10)
_TOUCH_INTERVAL = timedelta(minutes=5)
_CACHE_SECONDS = 5.0
_CACHE_SIZE = 10_000
SIGNIN_TOPIC = "signin"
"""A session has ended or has a new token; the payload is the hash of the old one in hex."""
PERSON_TOPIC = "person"
"""A field of `Person` has changed; the payload is the person's id."""


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in person. `expires_at` is when this sign-in session ends if it is not used.

    `authenticated_at` is when they last proved their identity in this session.
    """

    id: UUID
    audit_id: UUID
    email: str
    name: str
    is_verified: bool
    has_password: bool
    has_two_factor: bool
    deletion_due_at: datetime | None
    signin_id: UUID
    authenticated_at: datetime
    expires_at: datetime

    @property
    def is_fresh(self) -> bool:
        """Whether the identity was proved recently enough for a dangerous action."""
        return datetime.now(UTC) - self.authenticated_at < FRESH_TTL


@dataclass(frozen=True, slots=True)
class _CachedSession:
    person: Person
    mfa_hash: bytes | None
    mfa_until: datetime | None

    def is_whole(self, mfa_token: str | None) -> bool:
        """Whether the second factor, where there is one, was verified in this session recently."""
        if not self.person.has_two_factor:
            return True
        if self.mfa_hash is None or self.mfa_until is None or mfa_token is None:
            return False
        return compare_digest(self.mfa_hash, hash_token(mfa_token)) and self.mfa_until > datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The values of the browser's cookies; only their hashes are stored. None leaves the `mfa` cookie as it is."""

    session: str
    mfa: str | None = None


class SignInSessions:
    """Sign-in sessions. A session that is ended here ends in every process at once."""

    def __init__(self, database: Database, listener: Listener, settings: Settings) -> None:
        self._database = database
        self._listener = listener
        self._cookie_name = session_cookie_name(settings)
        self._mfa_cookie_name = mfa_cookie_name(settings)
        self._known = LoadingCache(self._load, size=_CACHE_SIZE, seconds=_CACHE_SECONDS)
        listener.on(SIGNIN_TOPIC, self._forget)
        listener.on(PERSON_TOPIC, self._forget_person)

    def read_token(self, scope: Any) -> str | None:
        """The value of the request's session cookie, even if empty; None without a cookie."""
        return read_cookie(scope, self._cookie_name)

    def read_hash(self, scope: Any) -> str:
        """The hash of the request's session cookie, as in the notices of SIGNIN_TOPIC."""
        return hash_token(self.read_token(scope) or "").hex()

    async def find_signed_in(self, scope: Any) -> Person | None:
        """None without a cookie, Unauthenticated with a bad one, MfaRequired where the second factor is missing."""
        token = self.read_token(scope)
        if token is None:
            return None
        signin = await self._find(token)
        if signin is None:
            raise Unauthenticated
        if not signin.is_whole(read_cookie(scope, self._mfa_cookie_name)):
            raise MfaRequired
        bind_log_context(user=str(signin.person.id))
        return signin.person

    async def find_half_signed_in(self, scope: Any) -> Person | None:
        """Also a person whose second factor is missing: only for the second factor's routes and for signing out."""
        token = self.read_token(scope)
        signin = await self._find(token) if token else None
        return signin.person if signin else None

    async def start(
        self, session: WriteSession, user_id: UUID, client_info: ClientInfo, *, method: str, passed_mfa: bool = False
    ) -> Tokens:
        """Starts a session. `method` is password, github, passkey, link or demo_link."""
        tokens = Tokens(make_opaque_token(), make_opaque_token() if passed_mfa else None)
        signin = SignInSession(
            id=make_id(),
            user_id=user_id,
            token_hash=hash_token(tokens.session),
            mfa_hash=hash_token(tokens.mfa) if tokens.mfa else None,
            method=method,
            address=client_info.address,
            client=client_info.client,
        )
        await queries.insert_signin(session, signin)
        return tokens

    async def renew(
        self, session: WriteSession, signin_id: UUID, *, authenticated: bool = True, passed_mfa: bool = False
    ) -> Tokens:
        """Replaces the session's token. `authenticated` means that the identity was just proved."""
        tokens = Tokens(make_opaque_token(), make_opaque_token() if passed_mfa else None)
        old = await queries.renew_signin(
            session,
            signin_id,
            token_hash=hash_token(tokens.session),
            mfa_hash=hash_token(tokens.mfa) if tokens.mfa else None,
            authenticated=authenticated,
        )
        if old is None:
            raise Unauthenticated
        await self._listener.announce(session, SIGNIN_TOPIC, old.hex())
        return tokens

    async def end(self, session: WriteSession, token: str) -> None:
        await self._announce(session, await queries.end_signin(session, hash_token(token)))

    async def end_one(self, session: WriteSession, user_id: UUID, signin_id: UUID) -> bool:
        """False where the person has no such session. Call it with the person locked, like `end_all`."""
        ended = await queries.end_signins(session, user_id, only=signin_id)
        await account_queries.end_tokens(session, user_id, Purpose.CHANGE_EMAIL)
        await self._announce(session, ended)
        return bool(ended)

    async def end_all(self, session: WriteSession, user_id: UUID, *, but: UUID | None = None) -> int:
        """Ends every session of the person except for one, and returns how many were ended.

        Pending changes of the email address are cancelled too: a session that is ended must not regain access by one.
        """
        ended = await queries.end_signins(session, user_id, but=but)
        await account_queries.end_tokens(session, user_id, Purpose.CHANGE_EMAIL)
        await self._announce(session, ended)
        return len(ended)

    async def require_alive(self, session: WriteSession, signin_id: UUID) -> None:
        """Unauthenticated where the session was ended since its cookie was checked. Call it with the person locked."""
        if not await queries.is_signin_alive(session, signin_id):
            raise Unauthenticated

    async def list_alive(self, session: ReadSession, user_id: UUID) -> list[SignInSession]:
        """The last used first."""
        return await queries.list_signins(session, user_id, idle=IDLE_TIMEOUT, absolute=ABSOLUTE_LIFETIME)

    async def announce_change(self, session: WriteSession, user_id: UUID) -> None:
        """Call it with every change of a field of `Person`."""
        await self._listener.announce(session, PERSON_TOPIC, str(user_id))

    async def _announce(self, session: WriteSession, ended: list[bytes]) -> None:
        for token_hash in ended:
            await self._listener.announce(session, SIGNIN_TOPIC, token_hash.hex())

    async def _find(self, token: str) -> _CachedSession | None:
        signin = await self._known.get(hash_token(token))
        if signin is None or signin.person.expires_at <= datetime.now(UTC):
            return None
        return signin

    async def _load(self, token_hash: bytes) -> _CachedSession | None:
        async with self._database.read_only() as session:
            row = await queries.find_signin(session, token_hash, idle=IDLE_TIMEOUT, absolute=ABSOLUTE_LIFETIME)
        if row is None:
            return None
        signin, user, now = row
        if signin.last_seen_at < now - _TOUCH_INTERVAL:
            async with self._database.write_now() as writing:
                await queries.touch_signin(writing, signin.id)
            signin.last_seen_at = now
        mfa_until = signin.mfa_at + MFA_TTL if signin.mfa_at else None
        return _CachedSession(_make_person(signin, user), signin.mfa_hash, mfa_until)

    def _forget(self, payload: str) -> None:
        if payload:
            self._known.drop(bytes.fromhex(payload))
        else:
            self._known.clear()

    def _forget_person(self, payload: str) -> None:
        if payload:
            self._known.drop_where(lambda _, signin: str(signin.person.id) == payload)
        else:
            self._known.clear()


def _make_person(signin: SignInSession, user: User) -> Person:
    return Person(
        id=user.id,
        audit_id=user.audit_id,
        email=user.email,
        name=user.name,
        is_verified=user.email_verified_at is not None,
        has_password=user.password_hash is not None,
        has_two_factor=user.sealed_totp_secret is not None,
        deletion_due_at=user.deletion_due_at,
        signin_id=signin.id,
        authenticated_at=signin.authenticated_at,
        expires_at=min(signin.last_seen_at + IDLE_TIMEOUT, signin.created_at + ABSOLUTE_LIFETIME),
    )


def read_cookie(scope: Any, wanted: str) -> str | None:
    """The cookie's value, even if empty; None where the request has no such cookie."""
    if b"cookie" not in header_values(scope):
        return None
    for name, value in scope["headers"]:
        if name == b"cookie":
            token = cookie_parser(value.decode("latin-1")).get(wanted)
            if token is not None:
                return token
    return None
