"""Posting letters and sending them: what was posted in a unit of work goes out when it commits."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from basewarden.core.ids import make_id
from basewarden.db import Database, Pruner, WriteSession, in_batches
from basewarden.jobs import Jobs, RetryPolicy
from basewarden.mail import queries
from basewarden.mail.letters import Letter, resolve_address, seal_content
from basewarden.mail.models import LetterState, StoredLetter
from basewarden.mail.server import MailServer, read_mail_server
from basewarden.mail.smtp import Envelope, SendingFailed, send
from basewarden.settings import Settings
from basewarden.vault import Place, Vault, VaultError

SEND = "mail.send"
TIDY = "mail.tidy"
KEEP_RECORDS = timedelta(days=90)
LETTER_PRUNERS = (Pruner("letters", KEEP_RECORDS, in_batches(queries.delete_ended_letters)),)
RETRY = RetryPolicy(attempts=12, first=timedelta(seconds=15), factor=4, longest=timedelta(hours=2))
"""About fourteen hours in all: a mail server's bad night."""
_PLACE = "letters.sealed_content"
_log = structlog.get_logger()


class NotSentYet(Exception):
    """For the queue: try again."""


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
        # One attempt more than a letter has: the letter gives up first, and is seen as failed.
        jobs.register(
            SEND, self._run_send, retry=RetryPolicy(retry.attempts + 1, retry.first, retry.factor, retry.longest)
        )
        jobs.register_periodic(TIDY, "*/15 * * * *", self._tidy)

    @property
    def is_configured(self) -> bool:
        return self._server is not None

    async def post(self, session: WriteSession, letter: Letter) -> UUID | None:
        """The letter's id; None, and nothing is stored, where no mail is configured."""
        if not self.is_configured:
            return None
        letter_id = make_id()
        stored = StoredLetter(
            id=letter_id,
            user_id=letter.user_id,
            kind=str(letter.kind),
            address=letter.address,
            sealed_content=self._vault.seal(seal_content(letter), Place(_PLACE, letter_id)),
            good_until=letter.good_until,
        )
        await queries.insert_letter(session, stored)
        await self._jobs.enqueue(session, SEND, {"letter_id": str(letter_id)})
        return letter_id

    async def _run_send(self, arguments: dict[str, str]) -> None:
        async with self._database.unit_of_work() as unit:
            letter = await queries.lock_letter(unit, UUID(arguments["letter_id"]))
            if letter is not None and letter.state == LetterState.QUEUED:
                await self._try(letter)
        if letter is not None and letter.state == LetterState.QUEUED:
            raise NotSentYet

    async def _try(self, letter: StoredLetter) -> None:
        """Leaves the letter in its next state; what failed for now stays queued."""
        if letter.good_until is not None and letter.good_until <= datetime.now(UTC):
            _end(letter, LetterState.EXPIRED)
            return
        letter.attempts += 1
        try:
            await self._send(letter)
        except (SendingFailed, VaultError) as error:
            self._note_failure(letter, error)
        else:
            letter.sent_at = datetime.now(UTC)
            letter.last_error = None
            _end(letter, LetterState.SENT)

    async def _send(self, letter: StoredLetter) -> None:
        """At least once: a process that dies right after the server's yes leaves the letter to be sent again."""
        server = self._get_server()
        content = json.loads(self._vault.open(letter.sealed_content or b"", Place(_PLACE, letter.id)).reveal())
        address = resolve_address(letter.address)
        await send(server, Envelope(id=letter.id, address=address, created_at=letter.created_at, **content))

    def _get_server(self) -> MailServer:
        """A letter may outlive the setting it was posted under."""
        if self._server is None:
            raise SendingFailed(NotConfigured(), is_final=False)
        return self._server

    def _note_failure(self, letter: StoredLetter, error: SendingFailed | VaultError) -> None:
        letter.last_error = str(error) if isinstance(error, SendingFailed) else error.code
        is_final = isinstance(error, SendingFailed) and error.is_final
        is_over = is_final or letter.attempts >= self._retry.attempts
        if is_over:
            _end(letter, LetterState.FAILED)
        tell = _log.error if is_over else _log.warning
        tell(
            "mail.failed" if is_over else "mail.delayed",
            letter=str(letter.id),
            kind=letter.kind,
            reason=letter.last_error,
        )

    async def _tidy(self) -> None:
        async with self._database.unit_of_work() as unit:
            await queries.expire_letters(unit)
            await queries.delete_ended_letters(unit, KEEP_RECORDS)


class NotConfigured(Exception):
    """There is no mail server any more."""


def _end(letter: StoredLetter, state: LetterState) -> None:
    letter.state = state
    letter.sealed_content = None
