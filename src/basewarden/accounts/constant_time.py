"""Jobs for work that depends on whether an account exists, so that the time of a response does not reveal it.

A request does the same for a known and for an unknown address: it enqueues a job. Its arguments are sealed, because
people sometimes type a password into the email field.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from basewarden.accounts.addresses import make_email_key
from basewarden.audit import ClientInfo
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.core.text import check_encodable
from basewarden.db import WriteSession
from basewarden.jobs import Jobs
from basewarden.vault import SealContext, Vault

MAX_EMAIL_LENGTH = 320
_PLACE = "jobs.accounts"


@dataclass(frozen=True, slots=True, repr=False)
class EmailSubmission:
    """What was typed into an email field, the client that sent it, and a note of the request for its job."""

    email: str
    client_info: ClientInfo
    note: str = ""

    @property
    def email_key(self) -> str | None:
        """None where the text cannot be an email address."""
        if len(self.email) > MAX_EMAIL_LENGTH:
            return None
        try:
            return make_email_key(check_encodable(self.email))
        except ValueError:
            return None


class ConstantTimeJobs:
    def __init__(self, jobs: Jobs, vault: Vault) -> None:
        self._jobs = jobs
        self._vault = vault

    def register(self, name: str, handler: Callable[[EmailSubmission], Awaitable[None]]) -> None:
        async def run(arguments: Mapping[str, Any]) -> None:
            await handler(self._open(arguments))

        self._jobs.register(name, run)

    async def enqueue(self, session: WriteSession, name: str, submission: EmailSubmission) -> None:
        """Does the same work for any text; of text too long for an address, only the beginning is kept."""
        job_id = make_id()
        content = {
            "email": submission.email[: MAX_EMAIL_LENGTH + 1],
            "where": asdict(submission.client_info),  # the key that jobs enqueued by earlier versions have
            "note": submission.note,
        }
        sealed = self._vault.seal(Secret(json.dumps(content)), SealContext(_PLACE, job_id))
        await self._jobs.enqueue(session, name, {"id": str(job_id), "sealed": base64.b64encode(sealed).decode()})

    def _open(self, arguments: Mapping[str, Any]) -> EmailSubmission:
        sealed = base64.b64decode(arguments["sealed"])
        content = json.loads(self._vault.open(sealed, SealContext(_PLACE, UUID(arguments["id"]))).reveal())
        return EmailSubmission(content["email"], ClientInfo(**content["where"]), content["note"])
