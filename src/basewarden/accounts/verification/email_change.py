"""Changes an account's email address: requested with a fresh sign-in, done when the link in an email to it is used."""

from basewarden.accounts import queries as account_queries
from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.emails import AccountEmailKind, Emails
from basewarden.accounts.errors import LinkExpired
from basewarden.accounts.links import ConsumedLink, make_link
from basewarden.accounts.models import Purpose
from basewarden.accounts.signin.sessions import Person, SignInSessions, Tokens
from basewarden.accounts.verification import queries
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.db import WriteSession
from basewarden.errors import Invalid, Unauthenticated
from basewarden.settings import Settings


class EmailChange:
    def __init__(
        self,
        *,
        signins: SignInSessions,
        attempts: Attempts,
        limits: AccountLimits,
        emails: Emails,
        audit: Audit,
        settings: Settings,
    ) -> None:
        self._signins = signins
        self._attempts = attempts
        self._limits = limits
        self._emails = emails
        self._audit = audit
        self._origin = settings.origin

    @property
    def is_configured(self) -> bool:
        return self._emails.is_configured

    async def start(self, session: WriteSession, person: Person, email: str, client_info: ClientInfo) -> None:
        """Sends a link to the new address and a notice to the current one; nothing changes yet.

        Where another account has the new address, the email to it says so: the caller cannot tell by the answer or its
        time.
        """
        if email == person.email:
            raise Invalid.field("email", "This is already your address.")
        await self._attempts.acquire(Attempt("email_change.account", str(person.id), self._limits.email_change_account))
        if not self.is_configured:
            return
        may_send = await self._attempts.try_acquire(
            Attempt("letters.address", make_email_key(email), self._limits.address_emails)
        )
        user = await account_queries.lock_user(session, person.id)
        if user is None:
            raise Unauthenticated
        await self._signins.require_alive(session, person.signin_id)
        other = await account_queries.find_user_by_email(session, make_email_key(email))
        link = await make_link(session, self._origin, user, Purpose.CHANGE_EMAIL, email=email)
        if may_send and (other is None or other.id == user.id):
            await self._emails.enqueue(session, AccountEmailKind.CHANGE_EMAIL, user, client_info, to=email, link=link)
        elif may_send:
            await self._emails.enqueue(session, AccountEmailKind.EMAIL_TAKEN, user, client_info, to=email)
        await self._emails.enqueue(session, AccountEmailKind.EMAIL_CHANGE_ASKED, user, client_info, new_email=email)
        await self._audit.record(
            session,
            AccountEvent(subject=user.audit_id, kind=EventKind.EMAIL_CHANGE_ASKED, client_info=client_info, details={}),
        )

    async def finish(
        self, session: WriteSession, taken: ConsumedLink, caller: Person | None, client_info: ClientInfo
    ) -> Tokens | None:
        """Ends every sign-in session except for the caller's, if it belongs to this person; that one gets new tokens.

        LinkExpired where another account has taken the address meanwhile.
        """
        user, earlier = taken.user, taken.user.email
        if not await queries.change_email(session, user.id, taken.email, make_email_key(taken.email)):
            raise LinkExpired("This address already belongs to an account.")
        await account_queries.end_tokens(session, user.id, Purpose.RESET, Purpose.VERIFY)
        stays = caller.signin_id if caller is not None and caller.id == user.id else None
        await self._signins.end_all(session, user.id, but=stays)
        tokens = await self._signins.renew(session, stays, authenticated=False) if stays else None
        await self._signins.announce_change(session, user.id)
        await self._emails.enqueue(
            session, AccountEmailKind.EMAIL_CHANGED, user, client_info, to=earlier, new_email=taken.email
        )
        await self._audit.record(
            session,
            AccountEvent(subject=user.audit_id, kind=EventKind.EMAIL_CHANGED, client_info=client_info, details={}),
        )
        return tokens
