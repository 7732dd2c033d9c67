"""Confirms a person's identity within the form of a dangerous action, so that nothing that was typed is lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from basewarden.accounts.client_info import ClientInfoDep
from basewarden.accounts.errors import BadPassword, ReauthRequired
from basewarden.accounts.passkeys import count_passkeys
from basewarden.accounts.password.schemas import MAX_SENT_PASSWORD
from basewarden.accounts.reauth.routes import ReauthDep
from basewarden.accounts.reauth.service import Reauth
from basewarden.accounts.return_path import confirm_beside_path
from basewarden.accounts.signin.callers import SignedIn
from basewarden.accounts.signin.cookies import set_signin_cookies
from basewarden.accounts.signin.sessions import Person, Tokens
from basewarden.audit import ClientInfo
from basewarden.core.secret import Secret
from basewarden.db import Database
from basewarden.errors import Invalid
from basewarden.settings import Settings
from basewarden.web import DatabaseDep, SettingsDep

CONFIRM_FIELD = "confirmPassword"
"""The form's field with the password; it is never sent back to the page."""


@dataclass(frozen=True, slots=True)
class ConfirmMethods:
    """How a person can confirm their identity without leaving a form; `beside_href` does it in a tab of its own."""

    email: str
    has_password: bool
    has_passkey: bool
    beside_href: str


class FormConfirmation:
    """`confirm` comes before the action, `finish` gives the response the cookies of the renewed sign-in session."""

    def __init__(
        self, *, person: Person, database: Database, reauth: Reauth, settings: Settings, client_info: ClientInfo
    ) -> None:
        self._person = person
        self._database = database
        self._reauth = reauth
        self._settings = settings
        self._client_info = client_info
        self._tokens: Tokens | None = None

    async def confirm(self, typed: Mapping[str, str]) -> None:
        """Checks the password of a form, if the sign-in is not fresh.

        Raises ReauthRequired where none was typed, Invalid where it is wrong, OAuthOnly or TooMany. The proof is stored
        at once, on a connection of its own: it holds although the action is refused, and no connection waits for it.
        """
        if self._person.is_fresh:
            return
        password = typed.get(CONFIRM_FIELD, "")
        if not password:
            raise ReauthRequired
        if len(password) > MAX_SENT_PASSWORD:
            raise Invalid.field(CONFIRM_FIELD, BadPassword.message)
        try:
            async with self._database.write_now() as session:
                self._tokens = await self._reauth.confirm(session, self._person, Secret(password), self._client_info)
        except BadPassword as error:
            raise Invalid.field(CONFIRM_FIELD, error.text) from None

    async def describe(self) -> ConfirmMethods | None:
        """Returns what a form asks for; None while the sign-in is fresh."""
        if self._person.is_fresh or self._tokens is not None:
            return None
        passkeys = 0
        if self._settings.can_use_passkeys:
            async with self._database.read_only() as session:
                passkeys = await count_passkeys(session, self._person.id)
        return ConfirmMethods(self._person.email, self._person.has_password, passkeys > 0, confirm_beside_path())

    def finish(self, response: Response) -> Response:
        """Every response after `confirm` passes through here: the cookie that the request had is no longer valid."""
        if self._tokens is not None:
            set_signin_cookies(response, self._settings, self._tokens)
        return response


async def _start_confirmation(
    person: SignedIn, database: DatabaseDep, reauth: ReauthDep, settings: SettingsDep, client_info: ClientInfoDep
) -> FormConfirmation:
    return FormConfirmation(person=person, database=database, reauth=reauth, settings=settings, client_info=client_info)


FormConfirmationDep = Annotated[FormConfirmation, Depends(_start_confirmation)]
