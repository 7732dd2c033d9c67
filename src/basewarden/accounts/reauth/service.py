"""The same person once more: what a stolen cookie must not do asks for a proof that is not older than ten minutes."""

from basewarden.accounts.password.service import Accounts
from basewarden.accounts.signin.sessions import Person, SignInSessions, Tokens
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.core.secret import Secret
from basewarden.db import WriteSession

_DETAILS = {"method": "password"}


class Reauth:
    """Passkeys and GitHub have ways of their own to the same end: `renew` with `authenticated`."""

    def __init__(self, *, accounts: Accounts, signins: SignInSessions, audit: Audit) -> None:
        self._accounts = accounts
        self._signins = signins
        self._audit = audit

    async def confirm(self, session: WriteSession, person: Person, password: Secret, client_info: ClientInfo) -> Tokens:
        """OAuthOnly where there is no password, BadPassword, or TooMany before that is known.

        The password is enough also where two-factor sign-in is on. Whoever gets here has passed the second factor in
        this very session within a day; and turning it off takes the password alone, by the contract, so that a code
        asked for here would keep nobody out.
        """
        await self._accounts.confirm_password(person, password, client_info, failure=EventKind.SIGNIN_FAILED)
        tokens = await self._signins.renew(session, person.signin_id)
        await self._audit.record(
            session, AccountEvent(person.audit_id, EventKind.REAUTHENTICATED, client_info, _DETAILS)
        )
        return tokens
