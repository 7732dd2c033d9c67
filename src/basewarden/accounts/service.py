"""Signing up and signing in. Known and unknown addresses get the same answer in the same time."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field, SecretStr

from basewarden.accounts import queries
from basewarden.accounts.attempts import AccountLimits, Attempt, Attempts
from basewarden.accounts.models import User
from basewarden.accounts.passwords import Passwords, find_weakness
from basewarden.accounts.signins import Signins
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.core.text import check_encodable, clean_line
from basewarden.db import Database, WriteSession
from basewarden.errors import AppError, Invalid

MAX_SENT_PASSWORD = 4096  # what is hashed at all, so that a guess costs no more than a password


class InvalidCredentials(AppError):
    status = 401
    code = "invalid_credentials"
    message = "The e-mail address or the password is wrong."


def _check_secret(value: SecretStr) -> SecretStr:
    check_encodable(value.get_secret_value())
    return value


SentPassword = Annotated[SecretStr, Field(max_length=MAX_SENT_PASSWORD), AfterValidator(_check_secret)]


class SignUp(BaseModel):
    model_config = ConfigDict(extra="forbid")

    email: EmailStr
    password: SentPassword
    name: Annotated[str, Field(max_length=120), AfterValidator(clean_line)] = ""


class SignIn(BaseModel):
    """The address is any text: whether it could be one at all is nobody's business here."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[str, Field(max_length=320), AfterValidator(check_encodable)]
    password: SentPassword


class Accounts:
    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        signins: Signins,
        attempts: Attempts,
        limits: AccountLimits,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._signins = signins
        self._attempts = attempts
        self._limits = limits

    async def sign_up(self, session: WriteSession, wanted: SignUp, *, client_address: str) -> None:
        """Makes the account, or changes nothing where the address has one; the caller cannot tell which."""
        password = Secret(wanted.password.get_secret_value())
        weakness = find_weakness(password, email=wanted.email, name=wanted.name)
        if weakness:
            raise Invalid.field("password", weakness)
        await self._attempts.take(Attempt("signup.address", client_address, self._limits.signup_address))
        user = User(
            id=make_id(),
            email=wanted.email,
            email_key=make_email_key(wanted.email),
            name=wanted.name,
            password_hash=await self._passwords.hash(password),
        )
        await queries.insert_user_if_new(session, user)

    async def sign_in(
        self, session: WriteSession, given: SignIn, *, client_address: str, earlier_token: str | None
    ) -> str:
        """The token of a new sign-in session; the one whose cookie was sent along ends."""
        attempts = self._count_as(given, client_address)
        await self._attempts.take(*attempts)
        user = await self._check_password(given)
        await self._attempts.give_back(*attempts)
        await self._attempts.forget_old()
        await self._renew_hash(session, user, given)
        if earlier_token:
            await self._signins.end(session, earlier_token)
        return await self._signins.start(session, user.id)

    def _count_as(self, given: SignIn, client_address: str) -> tuple[Attempt, ...]:
        return (
            Attempt("signin.address", client_address, self._limits.signin_address),
            Attempt("signin.account", make_email_key(given.email), self._limits.signin_account),
            Attempt("signin.total", "", self._limits.signin_total),
        )

    async def _check_password(self, given: SignIn) -> User:
        """Holds no database connection while it waits for its turn at hashing."""
        async with self._database.read_only() as reading:
            user = await queries.find_user_by_email(reading, make_email_key(given.email))
        password = Secret(given.password.get_secret_value())
        is_right = await self._passwords.is_right(password, user.password_hash if user else None)
        if user is None or not is_right:
            raise InvalidCredentials
        return user

    async def _renew_hash(self, session: WriteSession, user: User, given: SignIn) -> None:
        if self._passwords.is_outdated(user.password_hash):
            renewed = await self._passwords.hash(Secret(given.password.get_secret_value()))
            await queries.set_password_hash(session, user.id, old=user.password_hash, new=renewed)


def make_email_key(email: str) -> str:
    """Two addresses with the same key are the same address to us: case does not matter, dots and tags do."""
    return email.strip().casefold().replace("\x00", "")
