"""Opens a sign-in session once the first factor was verified: it is audited, and a new place is announced by email."""

from dataclasses import dataclass

from basewarden.accounts.emails import AccountEmailKind, Emails
from basewarden.accounts.models import User
from basewarden.accounts.signin import queries
from basewarden.accounts.signin.sessions import SignInSessions, Tokens
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.db import WriteSession


@dataclass(frozen=True, slots=True)
class SignInResult:
    """The first factor was right; the second one may still be missing."""

    tokens: Tokens
    needs_mfa: bool


_METHODS = {
    "password": "your password",
    "github": "GitHub",
    "link": "a link from an email",
    "demo_link": "the demo's one-time link",
}


class SessionOpener:
    def __init__(self, *, signins: SignInSessions, emails: Emails, audit: Audit) -> None:
        self._signins = signins
        self._emails = emails
        self._audit = audit

    async def open(
        self, session: WriteSession, user: User, client_info: ClientInfo, *, method: str, previous_token: str | None
    ) -> SignInResult:
        """The session of `previous_token` ends. `method` is one of `_METHODS`."""
        if previous_token:
            await self._signins.end(session, previous_token)
        is_new_place = await queries.is_new_place(session, user.id, client_info.address, client_info.client)
        tokens = await self._signins.start(session, user.id, client_info, method=method)
        if is_new_place:
            await self._emails.enqueue(
                session, AccountEmailKind.NEW_SIGNIN, user, client_info, method_words=_METHODS[method]
            )
        await self._audit.record(
            session, AccountEvent(user.audit_id, EventKind.SIGNIN, client_info, details={"method": method})
        )
        return SignInResult(tokens, needs_mfa=user.sealed_totp_secret is not None)
