"""The email of an invitation. Names in it are another person's text: what could pass for an address is left out."""

import re
from datetime import UTC

from basewarden.connections.callers import Membership
from basewarden.connections.invitations.links import InvitationLink
from basewarden.connections.models import Role
from basewarden.db import WriteSession
from basewarden.mail import Email, Mail, render_email

_KIND = "invitation"
_LIKE_ADDRESS = re.compile(r"[:/\\@]|\w\.\w|www", re.IGNORECASE)
"""What an email program could turn into a link."""


class InvitationEmails:
    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    @property
    def is_configured(self) -> bool:
        return self._mail.is_configured

    async def enqueue(
        self, session: WriteSession, member: Membership, address: str, role: Role, link: InvitationLink
    ) -> None:
        """Sent after this unit commits, and not after the link has expired."""
        subject, text, html = render_email(
            f"connections/emails/{_KIND}",
            inviter=make_safe_name(member.person.name),
            inviter_email=member.person.email,
            connection=make_safe_name(member.connection.name),
            role=role.value,
            link=link.url,
            link_until=f"{link.expires_at.astimezone(UTC):%-d %B %Y, %H:%M} UTC",
        )
        email = Email(kind=_KIND, address=address, subject=subject, text=text, html=html, good_until=link.expires_at)
        await self._mail.enqueue(session, email)


def make_safe_name(name: str) -> str | None:
    """Returns None for a name in which an email program could find a link."""
    return None if not name.strip() or _LIKE_ADDRESS.search(name) else name
