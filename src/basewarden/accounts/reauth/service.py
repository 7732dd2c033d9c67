"""Confirms the identity of a signed-in person by their password, for dangerous actions in the next ten minutes."""

from basewarden.accounts.password.service import Accounts
from basewarden.accounts.signin.sessions import Person, SignInSessions, Tokens
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.core.secret import Secret
from basewarden.db import WriteSession

_DETAILS = {"method": "password"}


class Reauth:
    """Passkeys and GitHub do the same in their services: `renew` with `authenticated`."""

    def __init__(self, *, accounts: Accounts, signins: SignInSessions, audit: Audit) -> None:
        self._accounts = accounts
        self._signins = signins
        self._audit = audit

    async def confirm(self, session: WriteSession, person: Person, password: Secret, client_info: ClientInfo) -> Tokens:
        """Raises OAuthOnly where there is no password, BadPassword, or TooMany before the password is checked.

        The password is enough also where two-factor sign-in is on: the second factor was verified in this session
        within a day, and by the contract the password alone turns it off, so that a code would not add protection.
        """
        await self._accounts.confirm_password(person, password, client_info, failure=EventKind.SIGNIN_FAILED)
        tokens = await self._signins.renew(session, person.signin_id)
        await self._audit.record(
            session, AccountEvent(person.audit_id, EventKind.REAUTHENTICATED, client_info, _DETAILS)
        )
        return tokens
