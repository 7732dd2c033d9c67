"""Verifies an email address by a link that is sent to it."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.accounts import queries as account_queries
from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.emails import AccountEmailKind, Emails
from basewarden.accounts.errors import LinkExpired
from basewarden.accounts.links import ConsumedLink, check_link, consume_link, make_link
from basewarden.accounts.models import Purpose, User
from basewarden.accounts.signin.sessions import Person, SignInSessions, Tokens
from basewarden.accounts.verification import queries
from basewarden.accounts.verification.email_change import EmailChange
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.db import ReadSession, WriteSession
from basewarden.settings import Settings

_PURPOSES = (Purpose.VERIFY, Purpose.CHANGE_EMAIL)


@dataclass(frozen=True, slots=True)
class PendingVerification:
    """A link that can be used. `newcomer` is its user, where that is a person who has just signed up."""

    email: str
    newcomer: User | None


@dataclass(frozen=True, slots=True)
class VerifiedAddress:
    """What a link has confirmed. `tokens` are new ones for a caller whose own address it has changed."""

    email: str
    newcomer: User | None
    tokens: Tokens | None


class Verification:
    def __init__(
        self,
        *,
        signins: SignInSessions,
        attempts: Attempts,
        limits: AccountLimits,
        emails: Emails,
        email_change: EmailChange,
        audit: Audit,
        settings: Settings,
    ) -> None:
        self._signins = signins
        self._attempts = attempts
        self._limits = limits
        self._emails = emails
        self._email_change = email_change
        self._audit = audit
        self._origin = settings.origin

    @property
    def is_configured(self) -> bool:
        return self._emails.is_configured

    async def start(self, session: WriteSession, person: Person, client_info: ClientInfo) -> None:
        """Sends the link again, unless the address is verified already or the limit of emails is reached."""
        await self._attempts.acquire(Attempt("verify.account", str(person.id), self._limits.verify_account))
        if person.is_verified or not await self.may_send(person.id):
            return
        user = await account_queries.lock_user(session, person.id)
        if user is not None and user.email_verified_at is None:
            await self.send_link(session, user, client_info)

    async def may_send(self, user_id: UUID) -> bool:
        """Counts one email; call it before the unit of work holds a connection."""
        attempt = Attempt("verify.letters", str(user_id), self._limits.verify_emails)
        return self.is_configured and await self._attempts.try_acquire(attempt)

    async def send_link(self, session: WriteSession, user: User, client_info: ClientInfo) -> None:
        link = await make_link(session, self._origin, user, Purpose.VERIFY)
        await self._emails.enqueue(session, AccountEmailKind.VERIFY, user, client_info, link=link)

    async def check_link(self, session: ReadSession, token: str) -> PendingVerification:
        """Does not use the link up; raises what `confirm` would."""
        link, user = await check_link(session, token, *_PURPOSES)
        if link.purpose == Purpose.VERIFY:
            _check_still_theirs(link.email, user)
        return PendingVerification(link.email, _find_newcomer(Purpose(link.purpose), user))

    async def confirm(
        self, session: WriteSession, token: str, caller: Person | None, client_info: ClientInfo
    ) -> VerifiedAddress:
        """A sign-in is not needed, and none is opened."""
        taken = await consume_link(session, token, *_PURPOSES)
        newcomer = _find_newcomer(taken.purpose, taken.user)  # before the address is verified
        if taken.purpose is Purpose.CHANGE_EMAIL:
            tokens = await self._email_change.finish(session, taken, caller, client_info)
            return VerifiedAddress(taken.email, None, tokens)
        await self._verify(session, taken, client_info)
        return VerifiedAddress(taken.email, newcomer, None)

    async def _verify(self, session: WriteSession, taken: ConsumedLink, client_info: ClientInfo) -> None:
        _check_still_theirs(taken.email, taken.user)
        await queries.verify_email(session, taken.user.id)
        await self._signins.announce_change(session, taken.user.id)
        await self._audit.record(
            session,
            AccountEvent(
                subject=taken.user.audit_id, kind=EventKind.EMAIL_VERIFIED, client_info=client_info, details={}
            ),
        )


def _check_still_theirs(email: str, user: User) -> None:
    if make_email_key(email) != user.email_key:
        raise LinkExpired("This link is for an address that the account no longer has.")


def _find_newcomer(purpose: Purpose, user: User) -> User | None:
    """The user, where the link is the first to verify their address and the password is still that of the sign-up."""
    is_new = purpose is Purpose.VERIFY and user.email_verified_at is None and user.password_changed_at is None
    return user if is_new and user.password_hash is not None else None
