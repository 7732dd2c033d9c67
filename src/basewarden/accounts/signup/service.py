"""Uses the link that confirms an address, and signs in by it: once, in the browser that signed up."""

from dataclasses import dataclass

from basewarden.accounts.models import User
from basewarden.accounts.signin.opening import SessionOpener, SignInResult
from basewarden.accounts.signin.sessions import Person, Tokens
from basewarden.accounts.signup.browsers import SignUpBrowsers
from basewarden.accounts.verification.service import Verification
from basewarden.audit import ClientInfo
from basewarden.db import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class LinkPreview:
    """What a press of the page's button will do."""

    email: str
    signs_in: bool


@dataclass(frozen=True, slots=True)
class LinkResult:
    """`signin` is the new sign-in session, if there is one; `tokens` renew the caller's own one."""

    email: str
    signin: SignInResult | None
    tokens: Tokens | None


class LinkSignIns:
    """A browser that is signed in already stays signed in as it is, whichever link it opens."""

    def __init__(self, *, verification: Verification, browsers: SignUpBrowsers, opener: SessionOpener) -> None:
        self._verification = verification
        self._browsers = browsers
        self._opener = opener

    async def check(self, session: ReadSession, token: str, caller: Person | None, cookie: str) -> LinkPreview:
        """Does not use the link up; raises what `use` would."""
        link = await self._verification.check_link(session, token)
        return LinkPreview(link.email, self._may_sign_in(link.newcomer, caller, cookie))

    async def use(
        self,
        session: WriteSession,
        token: str,
        caller: Person | None,
        client_info: ClientInfo,
        *,
        cookie: str,
        previous_token: str | None,
    ) -> LinkResult:
        """Confirms the address; two-factor authentication, where it is on, is asked for afterwards."""
        confirmed = await self._verification.confirm(session, token, caller, client_info)
        signin = None
        if confirmed.newcomer is not None and self._may_sign_in(confirmed.newcomer, caller, cookie):
            signin = await self._opener.open(
                session, confirmed.newcomer, client_info, method="link", previous_token=previous_token
            )
        return LinkResult(confirmed.email, signin, confirmed.tokens)

    def _may_sign_in(self, newcomer: User | None, caller: Person | None, cookie: str) -> bool:
        return newcomer is not None and caller is None and self._browsers.has_signed_up(cookie, newcomer.id)
