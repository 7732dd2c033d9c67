"""A new password for who has forgotten theirs: an email to the account's address, and its link."""

from basewarden.accounts import queries as account_queries
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.constant_time import Asked, QuietJobs
from basewarden.accounts.emails import AccountEmailKind, Emails
from basewarden.accounts.links import look_at_link, make_link, take_link
from basewarden.accounts.models import Purpose, User
from basewarden.accounts.password import queries as password_queries
from basewarden.accounts.password.hashing import Passwords
from basewarden.accounts.password.strength import check_strength
from basewarden.accounts.recovery import queries
from basewarden.accounts.signin.sessions import Signins
from basewarden.accounts.verification import queries as verification_queries
from basewarden.audit import AccountEvent, Audit, EventKind, Where
from basewarden.core.secret import Secret
from basewarden.db import Database, WriteSession
from basewarden.settings import Settings

FORGOT_JOB = "accounts.forgot"


class Resets:
    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        signins: Signins,
        attempts: Attempts,
        limits: AccountLimits,
        emails: Emails,
        quiet: QuietJobs,
        audit: Audit,
        settings: Settings,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._signins = signins
        self._attempts = attempts
        self._limits = limits
        self._emails = emails
        self._quiet = quiet
        self._audit = audit
        self._origin = settings.origin
        quiet.register(FORGOT_JOB, self._answer_forgot)

    @property
    def is_configured(self) -> bool:
        return self._emails.is_configured

    async def ask(self, session: WriteSession, email: str, where: Where) -> None:
        """Leaves a job, whatever was typed. A caller who asks too often is not told that nothing more happens."""
        if not self.is_configured:
            return
        if await self._attempts.try_take(Attempt("forgot.address", where.address or "", self._limits.forgot_address)):
            await self._quiet.enqueue(session, FORGOT_JOB, Asked(email, where))

    async def _answer_forgot(self, asked: Asked) -> None:
        """The job: an email with a link, which sets a first password where there is none. Nobody: nothing."""
        async with self._database.unit_of_work() as session:
            user = await account_queries.find_user_by_email(session, asked.email_key) if asked.email_key else None
            if user is not None and await self._may_write(user):
                await self._send(session, user, asked.where)

    async def _may_write(self, user: User) -> bool:
        return await self._attempts.try_take(Attempt("reset.letters", str(user.id), self._limits.reset_emails))

    async def _send(self, session: WriteSession, user: User, where: Where) -> None:
        kind = AccountEmailKind.RESET if user.password_hash is not None else AccountEmailKind.NO_PASSWORD
        link = await make_link(session, self._origin, user, Purpose.RESET)
        await self._emails.enqueue(session, kind, user, where, link=link)
        await self._audit.record(
            session, AccountEvent(subject=user.audit_id, kind=EventKind.PASSWORD_RESET_ASKED, where=where, details={})
        )

    async def look_at(self, token: str) -> User:
        """Whose link this is; raises what `reset` would. Holds no connection afterwards."""
        async with self._database.read_only() as session:
            _, user = await look_at_link(session, token, Purpose.RESET)
        return user

    async def reset(self, session: WriteSession, token: str, password: Secret, where: Where) -> str:
        """The person's address. Ends every sign-in session and signs nobody in: a second factor is asked for as ever.

        The first proof that the address is theirs takes away passkeys and accounts elsewhere: whoever signed up with
        somebody else's address and waited keeps no way in. The second factor stays; it opens nothing by itself.
        A weak password leaves the link as it is. Hashing waits for its turn with no connection held.
        """
        user = await self.look_at(token)
        check_strength("password", password, email=user.email, name=user.name)
        hashed = await self._passwords.hash(password)
        taken = await take_link(session, token, Purpose.RESET)
        user = taken.user
        await password_queries.change_password(session, user.id, hashed)
        if taken.email == user.email:
            if user.email_verified_at is None:
                await queries.delete_other_ways_in(session, user.id)
            await verification_queries.verify_email(session, user.id)
        await account_queries.end_tokens(session, user.id, Purpose.RESET, Purpose.CHANGE_EMAIL)
        await self._signins.end_all(session, user.id)
        await self._signins.announce_change(session, user.id)
        await self._emails.enqueue(session, AccountEmailKind.PASSWORD_RESET, user, where)
        await self._audit.record(
            session, AccountEvent(subject=user.audit_id, kind=EventKind.PASSWORD_RESET, where=where, details={})
        )
        return user.email
