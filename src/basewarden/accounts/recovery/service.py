"""Resets a forgotten password by a link in an email to the account's address."""

from basewarden.accounts import queries as account_queries
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.constant_time import ConstantTimeJobs, EmailSubmission
from basewarden.accounts.emails import AccountEmailKind, Emails
from basewarden.accounts.links import check_link, consume_link, make_link
from basewarden.accounts.models import Purpose, User
from basewarden.accounts.password import queries as password_queries
from basewarden.accounts.password.hashing import Passwords
from basewarden.accounts.password.strength import check_strength
from basewarden.accounts.recovery import queries
from basewarden.accounts.signin.sessions import SignInSessions
from basewarden.accounts.verification import queries as verification_queries
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
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
        signins: SignInSessions,
        attempts: Attempts,
        limits: AccountLimits,
        emails: Emails,
        constant_time_jobs: ConstantTimeJobs,
        audit: Audit,
        settings: Settings,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._signins = signins
        self._attempts = attempts
        self._limits = limits
        self._emails = emails
        self._constant_time_jobs = constant_time_jobs
        self._audit = audit
        self._origin = settings.origin
        constant_time_jobs.register(FORGOT_JOB, self._answer_forgot)

    @property
    def is_configured(self) -> bool:
        return self._emails.is_configured

    async def ask(self, session: WriteSession, email: str, client_info: ClientInfo) -> None:
        """Enqueues a job for any text. The answer is the same where the limit is reached and nothing is enqueued."""
        if not self.is_configured:
            return
        if await self._attempts.try_acquire(
            Attempt("forgot.address", client_info.address or "", self._limits.forgot_address)
        ):
            await self._constant_time_jobs.enqueue(session, FORGOT_JOB, EmailSubmission(email, client_info))

    async def _answer_forgot(self, submission: EmailSubmission) -> None:
        """The job: sends a link, which sets a first password where there is none. An unknown address gets no email."""
        async with self._database.unit_of_work() as session:
            user = (
                await account_queries.find_user_by_email(session, submission.email_key)
                if submission.email_key
                else None
            )
            if user is not None and await self._may_send(user):
                await self._send(session, user, submission.client_info)

    async def _may_send(self, user: User) -> bool:
        return await self._attempts.try_acquire(Attempt("reset.letters", str(user.id), self._limits.reset_emails))

    async def _send(self, session: WriteSession, user: User, client_info: ClientInfo) -> None:
        kind = AccountEmailKind.RESET if user.password_hash is not None else AccountEmailKind.NO_PASSWORD
        link = await make_link(session, self._origin, user, Purpose.RESET)
        await self._emails.enqueue(session, kind, user, client_info, link=link)
        await self._audit.record(
            session,
            AccountEvent(
                subject=user.audit_id, kind=EventKind.PASSWORD_RESET_ASKED, client_info=client_info, details={}
            ),
        )

    async def check_link(self, token: str) -> User:
        """The user of this link; raises what `reset` would. Holds no database connection afterwards."""
        async with self._database.read_only() as session:
            _, user = await check_link(session, token, Purpose.RESET)
        return user

    async def reset(self, session: WriteSession, token: str, password: Secret, client_info: ClientInfo) -> str:
        """Sets the password and returns the person's email address. Ends every sign-in session, and starts none.

        Where the address was not verified before, passkeys and linked accounts are deleted: an attacker who signed up
        with the address keeps no access. The second factor stays, because it does not sign in by itself.
        A weak password leaves the link usable. No database connection is held while the password is hashed.
        """
        user = await self.check_link(token)
        await check_strength("password", password, email=user.email, name=user.name)
        hashed = await self._passwords.hash(password)
        taken = await consume_link(session, token, Purpose.RESET)
        user = taken.user
        await password_queries.change_password(session, user.id, hashed)
        if taken.email == user.email:
            if user.email_verified_at is None:
                await queries.delete_other_signin_methods(session, user.id)
            await verification_queries.verify_email(session, user.id)
        await account_queries.end_tokens(session, user.id, Purpose.RESET, Purpose.CHANGE_EMAIL)
        await self._signins.end_all(session, user.id)
        await self._signins.announce_change(session, user.id)
        await self._emails.enqueue(session, AccountEmailKind.PASSWORD_RESET, user, client_info)
        await self._audit.record(
            session,
            AccountEvent(subject=user.audit_id, kind=EventKind.PASSWORD_RESET, client_info=client_info, details={}),
        )
        return user.email
