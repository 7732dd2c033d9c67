"""Signs in with GitHub, links a GitHub account, and confirms an identity with it.

GitHub replaces the password, but never our second factor.
"""

from dataclasses import dataclass
from uuid import UUID

import structlog

from basewarden.accounts import queries as account_queries
from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.emails import Emails
from basewarden.accounts.github import queries
from basewarden.accounts.github.client import GitHubClient, Identity
from basewarden.accounts.github.errors import (
    EmailHasAccount,
    GitHubDenied,
    GitHubDown,
    GitHubStale,
    LinkedElsewhere,
    LinkedToAnother,
    NotTheLinkedOne,
    NoVerifiedEmail,
)
from basewarden.accounts.github.states import AuthorizationPurpose, OAuthStates, PendingAuthorization
from basewarden.accounts.models import OAuthAccount, Purpose, User
from basewarden.accounts.return_path import HOME, safe_path
from basewarden.accounts.signin.opening import SessionOpener
from basewarden.accounts.signin.sessions import Person, SignInSessions, Tokens
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.core.ids import make_id
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import Conflict, NotFound

_MAX_PATH_LENGTH = 2000
_MAX_PARAMETER_LENGTH = 512
_DENIED = "access_denied"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, repr=False)
class AuthorizationRequest:
    """`url` is GitHub's. `browser` goes into a cookie, which ties the state to this browser."""

    url: str
    browser: str


@dataclass(frozen=True, slots=True, repr=False)
class CallbackQuery:
    """The query string of the callback, which may come from anyone."""

    state: str = ""
    code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class AuthorizationResult:
    """The tokens of the sign-in session for this browser."""

    tokens: Tokens
    needs_mfa: bool = False


class GitHub:
    def __init__(
        self,
        *,
        database: Database,
        client: GitHubClient,
        signins: SignInSessions,
        attempts: Attempts,
        emails: Emails,
        audit: Audit,
        limits: AccountLimits,
    ) -> None:
        self._database = database
        self._client = client
        self._signins = signins
        self._attempts = attempts
        self._emails = emails
        self._audit = audit
        self._limits = limits
        self._opener = SessionOpener(signins=signins, emails=emails, audit=audit)
        self._states = OAuthStates(database)

    @property
    def is_configured(self) -> bool:
        return self._client.is_configured

    async def find_link(self, session: ReadSession, user_id: UUID) -> OAuthAccount | None:
        """The GitHub account that is linked to this user."""
        return await queries.find_link(session, self._client.provider, user_id)

    async def is_only_signin_method(self, session: ReadSession, person: Person) -> bool:
        return not await queries.has_another_signin_method(session, person.id)

    async def start_authorization(
        self,
        purpose: AuthorizationPurpose,
        client_info: ClientInfo,
        *,
        person: Person | None = None,
        back_to: str = HOME,
    ) -> AuthorizationRequest:
        """Limited, because each is a row for minutes. `person` is None for signing in."""
        who = str(person.id) if person else client_info.address or ""
        await self._attempts.acquire(Attempt("github.start", who, self._limits.github_start))
        path = safe_path(back_to) if len(back_to) <= _MAX_PATH_LENGTH else HOME
        new_state = await self._states.make(purpose, person.id if person else None, path)
        asks_which = purpose is not AuthorizationPurpose.SIGNING_IN
        url = self._client.make_authorize_url(new_state.state, new_state.verifier, asks_which=asks_which)
        return AuthorizationRequest(url, new_state.browser)

    async def consume_state(self, query: CallbackQuery, browser: str) -> PendingAuthorization:
        """The authorization that this browser has started; its state is deleted in any case."""
        pending = (
            await self._states.consume(query.state, browser) if 0 < len(query.state) <= _MAX_PARAMETER_LENGTH else None
        )
        if pending is None:
            raise GitHubStale
        return pending

    async def finish_authorization(
        self,
        session: WriteSession,
        pending: PendingAuthorization,
        query: CallbackQuery,
        client_info: ClientInfo,
        *,
        person: Person | None,
        previous_token: str | None,
    ) -> AuthorizationResult:
        """Signs in, links or confirms, as it was started for. `person` is the fully signed-in person.

        A refusal must not have written anything, because the unit of work is committed with the page that shows it.
        """
        _check_same(pending, person)
        identity = await self._client.identify(
            _read_code(query), pending.verifier, with_email=pending.purpose is AuthorizationPurpose.SIGNING_IN
        )
        await self._check(pending, identity, person, client_info)
        if pending.purpose is AuthorizationPurpose.SIGNING_IN or person is None:
            return await self._sign_in(session, identity, client_info, previous_token)
        if pending.purpose is AuthorizationPurpose.LINKING:
            return AuthorizationResult(await self._link(session, person, identity, client_info))
        return AuthorizationResult(await self._confirm(session, person, identity, client_info))

    async def _check(
        self, pending: PendingAuthorization, identity: Identity, person: Person | None, client_info: ClientInfo
    ) -> None:
        """The checks that use their own database connections, while the unit of work holds none."""
        async with self._database.read_only() as reading:
            owner_id = await queries.find_owner_id(reading, self._client.provider, identity.subject)
        if pending.purpose is AuthorizationPurpose.SIGNING_IN and owner_id is None:
            await self._check_may_sign_up(identity, client_info)
        if pending.purpose is AuthorizationPurpose.CONFIRMING and person is not None and owner_id != person.id:
            failure = AccountEvent(person.audit_id, EventKind.SIGNIN_FAILED, client_info, details={"method": "github"})
            await self._audit.record_now(failure)
            raise NotTheLinkedOne

    async def _check_may_sign_up(self, identity: Identity, client_info: ClientInfo) -> None:
        if identity.email is None:
            raise NoVerifiedEmail
        await self._attempts.acquire(
            Attempt("signup.address", client_info.address or "", self._limits.signup_address),
            Attempt("signup.total", "", self._limits.signup_total),
        )

    async def _sign_in(
        self, session: WriteSession, identity: Identity, client_info: ClientInfo, previous_token: str | None
    ) -> AuthorizationResult:
        """Starts a sign-in session; the session of `previous_token` ends, and links to reset the password expire."""
        user = await self._lock_owner(session, identity) or await self._make_account(session, identity, client_info)
        await queries.rename_link(session, self._client.provider, identity)
        if user.sealed_totp_secret is None:
            await account_queries.end_tokens(session, user.id, Purpose.RESET)
        opened = await self._opener.open(session, user, client_info, method="github", previous_token=previous_token)
        return AuthorizationResult(opened.tokens, needs_mfa=opened.needs_mfa)

    async def _make_account(self, session: WriteSession, identity: Identity, client_info: ClientInfo) -> User:
        """Never links to an existing account with the same address: its owner may be another person."""
        if identity.email is None:
            raise NoVerifiedEmail
        user_id = make_id()
        is_new = await queries.insert_account_if_new(
            session,
            user_id,
            provider=self._client.provider,
            identity=identity,
            email_key=make_email_key(identity.email),
        )
        user = await self._lock_owner(session, identity)  # also where another request has just created it
        if user is None:
            raise EmailHasAccount
        if is_new:
            await self._record(session, user.audit_id, EventKind.SIGNUP, client_info, method="github")
        return user

    async def _link(self, session: WriteSession, person: Person, identity: Identity, client_info: ClientInfo) -> Tokens:
        """Does nothing where the same account is linked already."""
        await account_queries.lock_user(session, person.id)
        own = await queries.find_link(session, self._client.provider, person.id)
        if own is not None and own.subject != identity.subject:
            raise LinkedToAnother
        async with session.begin_nested():
            if own is None and not await queries.insert_link_if_new(
                session, self._client.provider, identity, person.id
            ):
                raise LinkedElsewhere
            tokens = await self._signins.renew(session, person.signin_id, authenticated=False)
        if own is None:
            await self._emails.enqueue(session, "github_linked", person, client_info, login=identity.login)
            await self._record(session, person.audit_id, EventKind.GITHUB_LINKED, client_info, login=identity.login)
        return tokens

    async def _confirm(
        self, session: WriteSession, person: Person, identity: Identity, client_info: ClientInfo
    ) -> Tokens:
        user = await self._lock_owner(session, identity)
        if user is None or user.id != person.id:
            raise NotTheLinkedOne
        tokens = await self._signins.renew(session, person.signin_id)
        await self._record(session, person.audit_id, EventKind.REAUTHENTICATED, client_info, method="github")
        return tokens

    async def unlink(self, session: WriteSession, person: Person, client_info: ClientInfo) -> Tokens:
        """Ends every other sign-in session, because a compromised GitHub account may be the reason for unlinking."""
        await account_queries.lock_user(session, person.id)
        link = await queries.find_link(session, self._client.provider, person.id)
        if link is None:
            raise NotFound
        if not await queries.has_another_signin_method(session, person.id):
            raise Conflict("GitHub is the only way to sign in to this account. Add a passkey or set a password first.")
        tokens = await self._signins.renew(session, person.signin_id, authenticated=False)
        await queries.delete_link(session, self._client.provider, person.id)
        await self._signins.end_all(session, person.id, but=person.signin_id)
        await self._emails.enqueue(session, "github_unlinked", person, client_info, login=link.login)
        await self._record(session, person.audit_id, EventKind.GITHUB_UNLINKED, client_info, login=link.login)
        return tokens

    async def _lock_owner(self, session: WriteSession, identity: Identity) -> User | None:
        """Locks the user whom this identity is linked to; None where it was unlinked meanwhile."""
        provider = self._client.provider
        user_id = await queries.find_owner_id(session, provider, identity.subject)
        user = await account_queries.lock_user(session, user_id) if user_id else None
        still = await queries.find_owner_id(session, provider, identity.subject)
        return user if user is not None and user.id == still else None

    async def _record(
        self, session: WriteSession, subject: UUID, kind: EventKind, client_info: ClientInfo, **details: str
    ) -> None:
        await self._audit.record(
            session, AccountEvent(subject=subject, kind=kind, client_info=client_info, details=details)
        )


def _check_same(pending: PendingAuthorization, person: Person | None) -> None:
    """For linking and confirming, the same person must still be signed in at the callback."""
    if pending.purpose is not AuthorizationPurpose.SIGNING_IN and (person is None or person.id != pending.user_id):
        raise GitHubStale


def _read_code(query: CallbackQuery) -> str:
    """Instead of a code there may be an error: the person has denied access, or GitHub is not configured correctly."""
    if 0 < len(query.code) <= _MAX_PARAMETER_LENGTH and query.code.isascii() and query.code.isprintable():
        return query.code
    if query.error == _DENIED:
        raise GitHubDenied
    if query.error:
        _log.warning("github.refused", reason=query.error[:80])
        raise GitHubDown
    raise GitHubStale
