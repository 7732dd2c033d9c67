"""Posting letters and sending them: what was posted in a unit of work goes out when it commits."""

import asyncio
import json
from datetime import timedelta
from uuid import UUID

import structlog

from basewarden.core.ids import make_id
from basewarden.db import Database, Pruner, WriteSession, in_batches
from basewarden.jobs import Jobs, RetryPolicy
from basewarden.mail import queries
from basewarden.mail.letters import Letter, resolve_address, seal_content
from basewarden.mail.models import LetterState, StoredLetter
from basewarden.mail.server import MailServer, read_mail_server
from basewarden.mail.smtp import SEND_SECONDS, Envelope, SendingFailed, send
from basewarden.settings import Settings
from basewarden.vault import SealContext, Vault, VaultError

SEND = "mail.send"
EXPIRE = "mail.tidy"
KEEP_RECORDS = timedelta(days=90)
LETTER_PRUNERS = (Pruner("letters", KEEP_RECORDS, in_batches(queries.delete_ended_letters)),)
RETRY = RetryPolicy(attempts=12, first=timedelta(seconds=15), factor=4, longest=timedelta(hours=2))
"""About fourteen hours in all: a mail server's bad night."""
CLAIM_HOLDS = timedelta(seconds=SEND_SECONDS + 30)
"""Longer than sending can take: whoever finds a claim that is over may take the letter for left behind."""
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
        # More attempts than a letter has, for runs that find it claimed: the letter gives up first, seen as failed.
        jobs.register(
            SEND, self._run_send, retry=RetryPolicy(2 * retry.attempts + 1, retry.first, retry.factor, retry.longest)
        )
        jobs.register_periodic(EXPIRE, "*/15 * * * *", self._expire)

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
            sealed_content=self._vault.seal(seal_content(letter), SealContext(_PLACE, letter_id)),
            good_until=letter.good_until,
        )
        await queries.insert_letter(session, stored)
        await self._jobs.enqueue(session, SEND, {"letter_id": str(letter_id)})
        return letter_id

    async def _run_send(self, arguments: dict[str, str]) -> None:
        """Claims the letter, sends it with no database connection held, and notes what became of it."""
        letter_id = UUID(arguments["letter_id"])
        async with self._database.unit_of_work() as unit:
            await queries.expire_letters(unit, only=letter_id)
            letter = await queries.claim_letter(unit, letter_id, CLAIM_HOLDS)
            is_queued = await queries.is_queued(unit, letter_id)
        state = await self._try(letter) if letter is not None else None
        if is_queued and state in (None, LetterState.QUEUED):
            raise NotSentYet

    async def _try(self, letter: StoredLetter) -> LetterState:
        """The letter's next state, which is stored; what failed for now stays queued."""
        try:
            await self._send(letter)
        except (SendingFailed, VaultError) as error:
            state = self._note_failure(letter, error)
            await self._note(letter, state, letter.last_error)
        except asyncio.CancelledError:
            await self._release(letter)  # this process stops: the next one need not wait for the claim to end
            raise
        else:
            state = LetterState.SENT
            await self._note(letter, state, None)
        return state

    async def _note(self, letter: StoredLetter, state: LetterState, error: str | None) -> None:
        async with self._database.unit_of_work() as unit:
            await queries.note_result(unit, letter, state=state, error=error)

    async def _release(self, letter: StoredLetter) -> None:
        async with self._database.unit_of_work() as unit:
            await queries.release_letter(unit, letter)

    async def _send(self, letter: StoredLetter) -> None:
        """At least once: a process that dies right after the server's yes leaves the letter to be sent again."""
        server = self._get_server()
        content = json.loads(self._vault.open(letter.sealed_content or b"", SealContext(_PLACE, letter.id)).reveal())
        address = resolve_address(letter.address)
        await send(server, Envelope(id=letter.id, address=address, created_at=letter.created_at, **content))

    def _get_server(self) -> MailServer:
        """A letter may outlive the setting it was posted under."""
        if self._server is None:
            raise SendingFailed(MailNotConfigured(), is_final=False)
        return self._server

    def _note_failure(self, letter: StoredLetter, error: SendingFailed | VaultError) -> LetterState:
        letter.last_error = str(error) if isinstance(error, SendingFailed) else error.code
        is_final = isinstance(error, SendingFailed) and error.is_final
        is_over = is_final or letter.attempts >= self._retry.attempts
        log = _log.error if is_over else _log.warning
        log(
            "mail.failed" if is_over else "mail.delayed",
            letter=str(letter.id),
            kind=letter.kind,
            reason=letter.last_error,
        )
        return LetterState.FAILED if is_over else LetterState.QUEUED

    async def _expire(self) -> None:
        """What a lost job left behind; retention deletes it later."""
        async with self._database.unit_of_work() as unit:
            await queries.expire_letters(unit)


class MailNotConfigured(Exception):
    """There is no mail server any more."""
