"""Signs up and in with a password, and changes it. Known and unknown addresses get the same answer in the same time."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.accounts import queries as account_queries
from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.constant_time import ConstantTimeJobs, EmailSubmission
from basewarden.accounts.emails import AccountEmailKind, Emails
from basewarden.accounts.errors import BadPassword, InvalidCredentials, OAuthOnly, ReauthRequired
from basewarden.accounts.models import Purpose, User
from basewarden.accounts.password import queries
from basewarden.accounts.password.hashing import Passwords
from basewarden.accounts.password.schemas import SignIn, SignUp
from basewarden.accounts.password.strength import check_strength
from basewarden.accounts.signin.devices import Device, Devices
from basewarden.accounts.signin.opening import SessionOpener, SignInResult
from basewarden.accounts.signin.sessions import Person, SignInSessions, Tokens
from basewarden.accounts.verification.service import Verification
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.db import Database, WriteSession
from basewarden.errors import Conflict, Invalid, Unauthenticated

SIGNED_UP_JOB = "accounts.signed_up"
SIGNIN_FAILED_JOB = "accounts.signin_failed"
_TOTAL_ADVICE = (
    "Too many sign-ins are failing right now, so new browsers have to wait. Use a browser that you have signed in with "
    "before, a passkey, or a password reset link."
)
_SET_ONE = "Set one under Settings, Account, or with a password reset link."


@dataclass(frozen=True, slots=True)
class SignUpResult:
    """`user_id` is the id of the account if it was created, and of no account otherwise.

    `is_first`: it was created, and it is the only account of this deployment.
    """

    user_id: UUID
    is_first: bool


class Accounts:
    def __init__(
        self,
        *,
        database: Database,
        passwords: Passwords,
        signins: SignInSessions,
        attempts: Attempts,
        limits: AccountLimits,
        emails: Emails,
        verification: Verification,
        constant_time_jobs: ConstantTimeJobs,
        audit: Audit,
        devices: Devices,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._signins = signins
        self._attempts = attempts
        self._limits = limits
        self._emails = emails
        self._verification = verification
        self._constant_time_jobs = constant_time_jobs
        self._audit = audit
        self._devices = devices
        self._opener = SessionOpener(signins=signins, emails=emails, audit=audit)
        constant_time_jobs.register(SIGNED_UP_JOB, self._welcome_or_warn)
        constant_time_jobs.register(SIGNIN_FAILED_JOB, self._note_failure)

    @property
    def sends_emails(self) -> bool:
        return self._emails.is_configured

    async def sign_up(self, session: WriteSession, wanted: SignUp, client_info: ClientInfo) -> SignUpResult:
        """Creates the account, or changes nothing where the address has one; the caller cannot tell which.

        In both cases a job sends an email: a verification link, or a notice to the owner about the attempt.
        """
        password = Secret(wanted.password.get_secret_value())
        await check_strength("password", password, email=wanted.email, name=wanted.name)
        await self._attempts.acquire(
            Attempt("signup.address", client_info.address or "", self._limits.signup_address),
            Attempt("signup.total", "", self._limits.signup_total),
        )
        user = User(
            id=make_id(),
            email=wanted.email,
            email_key=make_email_key(wanted.email),
            name=wanted.name,
            password_hash=await self._passwords.hash(password),
        )
        await queries.insert_user_if_new(session, user)
        await self._constant_time_jobs.enqueue(
            session, SIGNED_UP_JOB, EmailSubmission(wanted.email, client_info, note=str(user.id))
        )
        return SignUpResult(user.id, is_first=not await queries.has_other_users(session, user.id))

    async def open_first(
        self, session: WriteSession, user_id: UUID, client_info: ClientInfo, *, previous_token: str | None
    ) -> Tokens:
        """Signs in the first person of a deployment: their password was just chosen, and there is nothing to reveal."""
        user = await account_queries.lock_user(session, user_id)
        if user is None:
            raise Unauthenticated
        opened = await self._opener.open(session, user, client_info, method="password", previous_token=previous_token)
        return opened.tokens

    async def _welcome_or_warn(self, submission: EmailSubmission) -> None:
        """The job after a sign-up. Its note is the id that the new account has, if it was created."""
        async with self._database.unit_of_work() as session:
            user = await account_queries.find_user_by_email(session, submission.email_key or "")
            if user is None:
                return
            if str(user.id) == submission.note:
                await self._welcome(session, user, submission.client_info)
            elif await self._may_email(user):
                await self._emails.enqueue(session, AccountEmailKind.TAKEN, user, submission.client_info)

    async def _welcome(self, session: WriteSession, user: User, client_info: ClientInfo) -> None:
        if await self._verification.may_send(user.id):
            await self._verification.send_link(session, user, client_info)
        await self._record(session, user, EventKind.SIGNUP, client_info)

    async def _may_email(self, user: User) -> bool:
        return await self._attempts.try_acquire(Attempt("letters.address", user.email_key, self._limits.address_emails))

    async def sign_in(
        self,
        session: WriteSession,
        given: SignIn,
        client_info: ClientInfo,
        *,
        previous_token: str | None,
        device: Device | None = None,
        method: str = "password",
    ) -> SignInResult:
        """Starts a sign-in session; the session of `previous_token` ends, and links to reset the password expire.

        `method` is what the person used, where a link of ours knows the password.
        """
        attempts = self._count_as(given, client_info.address or "", device)
        await self._attempts.acquire(*attempts)
        checked = await self._check_password(given, client_info)
        await self._attempts.release(*attempts)
        await self._attempts.forget_old()
        renewed = await self._renew_hash(checked, given)
        user = await self._lock_unchanged(session, checked)
        if user is None:
            raise InvalidCredentials
        if renewed is not None:
            await queries.set_password_hash(session, user.id, renewed)
        if user.sealed_totp_secret is None:  # with a second factor missing, links to reset stay valid for the owner
            await account_queries.end_tokens(session, user.id, Purpose.RESET)
        return await self._opener.open(session, user, client_info, method=method, previous_token=previous_token)

    def _count_as(self, given: SignIn, client_address: str, device: Device | None) -> tuple[Attempt, ...]:
        """A recognised browser has a limit of its own, so that strangers, also in its network, cannot lock it out."""
        if device is not None and self._devices.is_known(device, given.email):
            return (Attempt("signin.device", device.nonce, self._limits.signin_device),)
        return (
            Attempt("signin.address", client_address, self._limits.signin_address),
            Attempt("signin.account", make_email_key(given.email), self._limits.signin_account),
            Attempt("signin.total", "", self._limits.signin_total, advice=_TOTAL_ADVICE),
        )

    async def _check_password(self, given: SignIn, client_info: ClientInfo) -> User:
        """Holds no database connection while it waits for hashing."""
        async with self._database.read_only() as reading:
            user = await account_queries.find_user_by_email(reading, make_email_key(given.email))
        password = Secret(given.password.get_secret_value())
        is_right = await self._passwords.is_right(password, user.password_hash if user else None)
        if user is None or not is_right:
            async with self._database.write_now() as session:
                await self._constant_time_jobs.enqueue(
                    session, SIGNIN_FAILED_JOB, EmailSubmission(given.email, client_info)
                )
            raise InvalidCredentials
        return user

    async def _note_failure(self, submission: EmailSubmission) -> None:
        """The job after a wrong password: it records an event that the account's owner can see."""
        async with self._database.unit_of_work() as session:
            user = await account_queries.find_user_by_email(session, submission.email_key or "")
            if user is not None:
                await self._record(session, user, EventKind.SIGNIN_FAILED, submission.client_info, method="password")

    async def _renew_hash(self, user: User, given: SignIn) -> str | None:
        """A hash with the current cost where the stored one has another."""
        if user.password_hash is None or not self._passwords.is_outdated(user.password_hash):
            return None
        return await self._passwords.hash(Secret(given.password.get_secret_value()))

    async def _lock_unchanged(self, session: WriteSession, checked: User) -> User | None:
        """The locked user, or None where the password was changed since it was checked."""
        user = await account_queries.lock_user(session, checked.id)
        return user if user is not None and user.password_changed_at == checked.password_changed_at else None

    async def confirm_password(
        self, person: Person, password: Secret, client_info: ClientInfo, *, failure: EventKind
    ) -> User:
        """Checks the password of a signed-in person again.

        Raises OAuthOnly where there is none, BadPassword, or TooMany: attempts are counted per account, before the
        password is checked. A wrong one is recorded in the audit as `failure`, although the request is refused.
        """
        async with self._database.read_only() as reading:
            user = await account_queries.find_user(reading, person.id)
        if user is None:
            raise Unauthenticated
        if user.password_hash is None:
            raise OAuthOnly(hint=_SET_ONE)
        attempt = Attempt("password.account", str(person.id), self._limits.password_account)
        await self._attempts.acquire(attempt)
        if not await self._passwords.is_right(password, user.password_hash):
            await self._audit.record_now(AccountEvent(person.audit_id, failure, client_info, {"method": "password"}))
            raise BadPassword
        await self._attempts.release(attempt)
        return user

    async def change_password(
        self, session: WriteSession, person: Person, current: Secret, new: Secret, client_info: ClientInfo
    ) -> Tokens:
        """Ends every other sign-in session; this one continues with the returned tokens."""
        checked = await self.confirm_password(person, current, client_info, failure=EventKind.PASSWORD_CHANGE_FAILED)
        await check_strength("newPassword", new, email=checked.email, name=checked.name)
        if await self._passwords.is_right(new, checked.password_hash):
            raise Invalid.field("newPassword", "This is already your password.")
        hashed = await self._passwords.hash(new)
        user = await self._lock_unchanged(session, checked)
        if user is None:
            raise BadPassword
        tokens = await self._signins.renew(session, person.signin_id)  # first, because it may be refused
        await queries.change_password(session, user.id, hashed)
        await account_queries.end_tokens(session, user.id, Purpose.RESET, Purpose.CHANGE_EMAIL)
        await self._signins.end_all(session, user.id, but=person.signin_id)
        await self._emails.enqueue(session, AccountEmailKind.PASSWORD_CHANGED, user, client_info)
        await self._record(session, user, EventKind.PASSWORD_CHANGED, client_info)
        return tokens

    async def set_password(self, session: WriteSession, person: Person, new: Secret, client_info: ClientInfo) -> Tokens:
        """Sets the first password of an account that signs in with GitHub or a passkey; requires a fresh sign-in.

        Raises ReauthRequired, or Conflict where there is a password. Ends every other sign-in session; this one
        continues with the returned tokens.
        """
        if not person.is_fresh:
            raise ReauthRequired
        await check_strength("newPassword", new, email=person.email, name=person.name)
        hashed = await self._passwords.hash(new)
        user = await account_queries.lock_user(session, person.id)
        if user is None:
            raise Unauthenticated
        if user.password_hash is not None:
            raise Conflict("This account already has a password.")
        tokens = await self._signins.renew(session, person.signin_id, authenticated=False)
        await queries.change_password(session, user.id, hashed)
        await account_queries.end_tokens(session, user.id, Purpose.RESET, Purpose.CHANGE_EMAIL)
        await self._signins.end_all(session, user.id, but=person.signin_id)
        await self._signins.announce_change(session, user.id)
        await self._emails.enqueue(session, AccountEmailKind.PASSWORD_SET, user, client_info)
        await self._record(session, user, EventKind.PASSWORD_SET, client_info)
        return tokens

    async def _record(
        self, session: WriteSession, user: User, kind: EventKind, client_info: ClientInfo, **details: str
    ) -> None:
        await self._audit.record(
            session, AccountEvent(subject=user.audit_id, kind=kind, client_info=client_info, details=details)
        )
