"""Queues emails and sends them. An email that is queued in a unit of work is sent after it commits."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import structlog

from basewarden.core.ids import make_id
from basewarden.db import Database, Pruner, WriteSession, in_batches
from basewarden.jobs import Jobs, RetryPolicy
from basewarden.mail import queries
from basewarden.mail.emails import Email, resolve_address, seal_content
from basewarden.mail.models import EmailState, StoredEmail
from basewarden.mail.server import MailServer, read_mail_server
from basewarden.mail.smtp import SEND_SECONDS, Envelope, SendingFailed, send
from basewarden.settings import Settings
from basewarden.vault import SealContext, Vault, VaultError

SEND = "mail.send"
EXPIRE = "mail.tidy"
KEEP_RECORDS = timedelta(days=90)
EMAIL_PRUNERS = (Pruner("letters", KEEP_RECORDS, in_batches(queries.delete_ended_emails)),)
RETRY = RetryPolicy(attempts=12, first=timedelta(seconds=15), factor=4, longest=timedelta(hours=2))
"""About fourteen hours in all, so that a mail server may be down for a night."""
CLAIM_TTL = timedelta(seconds=SEND_SECONDS + 30)
"""Longer than sending can take: a process that finds an expired claim may take the email over."""
_PLACE = "letters.sealed_content"
_log = structlog.get_logger()


class NotSentYet(Exception):
    """Makes the job queue try again."""


class Mail:
    """Raises StartError where SMTP_URL or EMAIL_FROM is bad."""

    def __init__(
        self, settings: Settings, database: Database, vault: Vault, jobs: Jobs, *, retry: RetryPolicy = RETRY
    ) -> None:
        self._server = read_mail_server(settings)
        self._database = database
        self._vault = vault
        self._jobs = jobs
        self._retry = retry
        # More attempts than an email has, because some runs find it claimed: so the email fails before its job does.
        jobs.register(
            SEND, self._run_send, retry=RetryPolicy(2 * retry.attempts + 1, retry.first, retry.factor, retry.longest)
        )
        jobs.register_periodic(EXPIRE, "*/15 * * * *", self._expire)

    @property
    def is_configured(self) -> bool:
        return self._server is not None

    async def enqueue(self, session: WriteSession, email: Email) -> UUID | None:
        """Returns the email's id, or None, without storing anything, where no mail server is configured."""
        if not self.is_configured:
            return None
        email_id = make_id()
        stored = StoredEmail(
            id=email_id,
            user_id=email.user_id,
            kind=str(email.kind),
            address=email.address,
            sealed_content=self._vault.seal(seal_content(email), SealContext(_PLACE, email_id)),
            good_until=email.good_until,
        )
        await queries.insert_email(session, stored)
        await self._jobs.enqueue(session, SEND, {"letter_id": str(email_id)})
        return email_id

    async def _run_send(self, arguments: dict[str, str]) -> None:
        """Claims the email, sends it without holding a database connection, and stores the result."""
        email_id = UUID(arguments["letter_id"])
        async with self._database.unit_of_work() as unit:
            await queries.expire_emails(unit, only=email_id)
            email = await queries.claim_email(unit, email_id, CLAIM_TTL)
            is_queued = await queries.is_queued(unit, email_id)
        state = await self._try(email) if email is not None else None
        if is_queued and state in (None, EmailState.QUEUED):
            raise NotSentYet

    async def _try(self, email: StoredEmail) -> EmailState:
        """Sends the email, stores its next state and returns it; after a temporary failure it stays queued."""
        try:
            await self._send(email)
        except (SendingFailed, VaultError) as error:
            state = self._note_failure(email, error)
            await self._note(email, state, email.last_error)
        except asyncio.CancelledError:
            await self._release(email)  # this process stops: the next one need not wait until the claim expires
            raise
        else:
            state = EmailState.SENT
            await self._note(email, state, None)
        return state

    async def _note(self, email: StoredEmail, state: EmailState, error: str | None) -> None:
        async with self._database.unit_of_work() as unit:
            await queries.note_result(unit, email, state=state, error=error)

    async def _release(self, email: StoredEmail) -> None:
        async with self._database.unit_of_work() as unit:
            await queries.release_email(unit, email)

    async def _send(self, email: StoredEmail) -> None:
        """Sends at least once: where the process dies right after the server has accepted, the email is sent again."""
        server = self._get_server()
        content = json.loads(self._vault.open(email.sealed_content or b"", SealContext(_PLACE, email.id)).reveal())
        address = resolve_address(email.address)
        await send(server, Envelope(id=email.id, address=address, created_at=email.created_at, **content))

    def _get_server(self) -> MailServer:
        """An email may have been queued before SMTP_URL was removed."""
        if self._server is None:
            raise SendingFailed(MailNotConfigured(), is_final=False)
        return self._server

    def _note_failure(self, email: StoredEmail, error: SendingFailed | VaultError) -> EmailState:
        email.last_error = str(error) if isinstance(error, SendingFailed) else error.code
        is_final = isinstance(error, SendingFailed) and error.is_final
        is_over = is_final or email.attempts >= self._retry.attempts
        log = _log.error if is_over else _log.warning
        log(
            "mail.failed" if is_over else "mail.delayed",
            email_id=str(email.id),
            kind=email.kind,
            reason=email.last_error,
        )
        return EmailState.FAILED if is_over else EmailState.QUEUED

    async def _expire(self) -> None:
        """Expires emails whose job was lost; retention deletes them later."""
        async with self._database.unit_of_work() as unit:
            await queries.expire_emails(unit)


class MailNotConfigured(Exception):
    """SMTP_URL was removed after the email was queued."""
