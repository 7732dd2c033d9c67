"""Sends a contact message to the deployment's inbox as an email. Nothing of it is stored after that."""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, EmailStr, Field

from basewarden.accounts import Attempt, Attempts, Limit
from basewarden.audit import ClientInfo
from basewarden.core.text import clean_line
from basewarden.db import WriteSession
from basewarden.errors import NotConfigured
from basewarden.mail import Email, Mail, render_email
from basewarden.settings import Settings

MAX_MESSAGE_LENGTH = 5000
_MAX_NAME_LENGTH = 120
_SPACES = "\n\t"
_HOURLY_ADDRESS = Limit(5, 60 * 60)
_HOURLY_TOTAL = Limit(200, 60 * 60)


class ContactTopic(StrEnum):
    QUESTION = "question"
    PROBLEM = "problem"
    BILLING = "billing"
    SECURITY = "security"
    OTHER = "other"


TOPICS = {
    ContactTopic.QUESTION: "A question",
    ContactTopic.PROBLEM: "Something does not work",
    ContactTopic.BILLING: "Billing",
    ContactTopic.SECURITY: "A security problem",
    ContactTopic.OTHER: "Something else",
}


def clean_text(text: str) -> str:
    """Several lines, in NFC, without control characters; ValueError where it holds any."""
    lines = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if any(unicodedata.category(one) in ("Cc", "Cs") and one not in _SPACES for one in lines):
        raise ValueError("must be plain text")
    return lines


class ContactMessage(BaseModel):
    topic: ContactTopic
    name: Annotated[str, Field(max_length=_MAX_NAME_LENGTH), AfterValidator(clean_line)]
    email: EmailStr
    message: Annotated[str, Field(max_length=MAX_MESSAGE_LENGTH), AfterValidator(clean_text), Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class ContactLimits:
    """`total` keeps the inbox usable when many addresses write at once."""

    address: Limit = _HOURLY_ADDRESS
    total: Limit = _HOURLY_TOTAL


class Contact:
    def __init__(self, mail: Mail, attempts: Attempts, settings: Settings, limits: ContactLimits | None = None) -> None:
        self._mail = mail
        self._attempts = attempts
        self._limits = limits or ContactLimits()
        self._origin = settings.origin
        self.inbox = settings.contact_inbox

    @property
    def is_configured(self) -> bool:
        return self._mail.is_configured and self.inbox is not None

    async def send(self, session: WriteSession, message: ContactMessage, client_info: ClientInfo) -> None:
        """Goes out when this unit commits; an answer to it goes to the writer. TooMany beyond the limits."""
        if self.inbox is None or not self._mail.is_configured:
            raise NotConfigured
        await self._attempts.acquire(
            Attempt("contact.address", client_info.address or "", self._limits.address),
            Attempt("contact.total", "", self._limits.total),
        )
        subject, text, html = render_email(
            "contact/emails/contact", message=message, topic=TOPICS[message.topic], origin=self._origin
        )
        email = Email(kind="contact", address=self.inbox, subject=subject, text=text, html=html, reply_to=message.email)
        await self._mail.enqueue(session, email)
