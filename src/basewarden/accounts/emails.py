"""Emails about accounts. They say what happened, when and from where, and what to do about it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from basewarden.accounts.links import EmailLink
from basewarden.accounts.models import User
from basewarden.accounts.signin.sessions import Person
from basewarden.audit import ClientInfo, name_client
from basewarden.db import WriteSession
from basewarden.mail import Email, Mail, render_email
from basewarden.settings import Settings

_MAX_CLIENT_LENGTH = 40


class AccountEmailKind(StrEnum):
    """Each has a template with its name."""

    VERIFY = "verify"
    RESET = "reset"
    NO_PASSWORD = "no_password"  # noqa: S105 - an email's name
    TAKEN = "taken"
    PASSWORD_SET = "password_set"  # noqa: S105 - an email's name
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - an email's name
    PASSWORD_RESET = "password_reset"  # noqa: S105 - an email's name
    CHANGE_EMAIL = "change_email"
    EMAIL_TAKEN = "email_taken"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    EMAIL_CHANGED = "email_changed"
    NEW_SIGNIN = "new_signin"


class Emails:
    """Nothing is queued where no mail server is configured."""

    def __init__(self, mail: Mail, settings: Settings) -> None:
        self._mail = mail
        self._origin = settings.origin

    @property
    def is_configured(self) -> bool:
        return self._mail.is_configured

    async def enqueue(
        self,
        session: WriteSession,
        kind: str,
        user: User | Person,
        client_info: ClientInfo,
        *,
        to: str | None = None,
        link: EmailLink | None = None,
        **facts: Any,
    ) -> None:
        """Sent after this unit commits: to the person's address, or to `to`. `facts` are variables of the template."""
        if not self._mail.is_configured:
            return
        subject, text, html = render_email(
            f"accounts/emails/{kind}",
            name=user.name,
            email=user.email,
            origin=self._origin,
            when=_format_time(datetime.now(UTC)),
            address=client_info.address,
            client=_format_client(client_info.client),
            link=link.url if link else None,
            link_until=_format_time(link.expires_at) if link else None,
            **facts,
        )
        await self._mail.enqueue(
            session,
            Email(
                kind=kind,
                address=to or user.email,
                subject=subject,
                text=text,
                html=html,
                user_id=user.id,
                good_until=link.expires_at if link else None,
            ),
        )


def _format_time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%d %B %Y, %H:%M} UTC".lstrip("0")


def _format_client(client: str | None) -> str | None:
    """Such as Firefox on Linux, or a program's name: the sender of a request must not choose text of an email."""
    name = name_client(client or "")
    if name is None:
        return None
    return name if name.replace(" ", "").replace("-", "").isalnum() and len(name) <= _MAX_CLIENT_LENGTH else None
