"""Sends one email to the mail server, and distinguishes final failures from temporary ones."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import UUID

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from basewarden.db import note_waiting
from basewarden.mail.server import MailServer, read_mail_server
from basewarden.settings import Settings

ANSWER_SECONDS = 20.0
SEND_SECONDS = 60.0
_QUIT_SECONDS = 2.0


class SendingFailed(Exception):
    """`is_final`: the server has refused this email. The text, for operators, is the error's class and a code."""

    def __init__(self, error: BaseException, *, is_final: bool) -> None:
        self.is_final = is_final
        code = find_code(error)
        super().__init__(type(error).__name__ + (f" {code}" if code else ""))


@dataclass(frozen=True)
class Envelope:
    """`id` and `created_at` are the same each time it is sent, so that mail programs show copies once."""

    id: UUID
    address: str
    created_at: datetime
    subject: str
    text: str
    html: str
    reply_to: str | None = None


def compose(envelope: Envelope, sender: Address) -> EmailMessage:
    """The library raises ValueError for a header with a line break."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = sender
    message["To"] = envelope.address
    if envelope.reply_to is not None:
        message["Reply-To"] = envelope.reply_to
    message["Subject"] = envelope.subject
    message["Date"] = format_datetime(envelope.created_at)
    message["Message-ID"] = f"<{envelope.id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office answers
    message.set_content(_encodable(envelope.text), cte="quoted-printable")
    message.add_alternative(_encodable(envelope.html), subtype="html", cte="quoted-printable")
    return message


async def send(server: MailServer, envelope: Envelope) -> None:
    """Raises SendingFailed. An error before the message is sent is never final."""
    note_waiting("the mail server")
    is_named = False
    try:
        message = compose(envelope, server.sender)
        async with asyncio.timeout(SEND_SECONDS), _talking(server) as smtp:
            is_named = True
            await smtp.send_message(message, sender=server.sender.addr_spec, recipients=[envelope.address])
    except (SMTPException, OSError) as error:  # a timeout and an SSLError are an OSError
        raise SendingFailed(error, is_final=is_named and _is_refusal(error)) from None
    except ValueError as error:
        raise SendingFailed(error, is_final=True) from None


@asynccontextmanager
async def _talking(server: MailServer) -> AsyncIterator[SMTP]:
    """A session that is connected, encrypted and signed in. A failed QUIT does not undo what was sent."""
    smtp = SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user,
        password=None if server.password is None else server.password.reveal(),
        local_hostname=server.own_name,
        timeout=ANSWER_SECONDS,
        use_tls=server.is_tls,
        start_tls=server.is_starttls,
        tls_context=server.make_tls_context() if server.is_tls or server.is_starttls else None,
    )
    try:
        await smtp.connect()
        yield smtp
        with contextlib.suppress(SMTPException, OSError):
            await smtp.quit(timeout=_QUIT_SECONDS)
    finally:
        smtp.close()


def find_code(error: BaseException) -> int | None:
    """The code of the server's reply. There is only one recipient, because we never send to more."""
    if isinstance(error, SMTPRecipientsRefused):
        return error.recipients[0].code if error.recipients else None
    return error.code if isinstance(error, SMTPResponseException) else None


def _is_refusal(error: BaseException) -> bool:
    code = find_code(error)
    return isinstance(error, SMTPNotSupported) or (code is not None and 500 <= code < 600)


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


@dataclass(frozen=True)
class SmtpCheck:
    ok: bool
    sentence: str


async def check_smtp(settings: Settings) -> SmtpCheck:
    """Connects, signs in and quits without sending anything. A bad setting is a StartError."""
    server = read_mail_server(settings)
    if server is None:
        return SmtpCheck(ok=False, sentence="No mail is configured: SMTP_URL is not set.")
    place = f"The mail server {server.host}:{server.port}"
    try:
        async with asyncio.timeout(SEND_SECONDS), _talking(server) as smtp:
            await smtp.noop()
    except (SMTPException, OSError, ValueError) as error:
        return SmtpCheck(ok=False, sentence=f"{place} cannot be used: {SendingFailed(error, is_final=False)}.")
    how = "encrypted" if server.is_tls or server.is_starttls else "not encrypted"
    who = "signed in" if server.user else "without signing in"
    return SmtpCheck(ok=True, sentence=f"{place} answers, {how}, {who}.")
