"""What is put off until the answer is on its way, so that nobody learns from its time what there was to do.

The request does the same for a stranger as for a member: it leaves a job. What was typed is sealed in it, for people
type passwords into the wrong field.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from basewarden.accounts.addresses import make_email_key
from basewarden.audit import Where
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.core.text import check_encodable
from basewarden.db import WriteSession
from basewarden.jobs import Jobs
from basewarden.vault import SealContext, Vault

LONGEST_EMAIL = 320
_PLACE = "jobs.accounts"


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """What somebody typed as an address, from where, and what else the request noted."""

    email: str
    where: Where
    note: str = ""

    @property
    def email_key(self) -> str | None:
        """None for what can be nobody's address."""
        if len(self.email) > LONGEST_EMAIL:
            return None
        try:
            return make_email_key(check_encodable(self.email))
        except ValueError:
            return None


class QuietJobs:
    def __init__(self, jobs: Jobs, vault: Vault) -> None:
        self._jobs = jobs
        self._vault = vault

    def register(self, name: str, handler: Callable[[Asked], Awaitable[None]]) -> None:
        async def run(arguments: Mapping[str, Any]) -> None:
            await handler(self._open(arguments))

        self._jobs.register(name, run)

    async def enqueue(self, session: WriteSession, name: str, asked: Asked) -> None:
        """The same work whatever was typed; only the beginning of what is too long for an address is kept."""
        job_id = make_id()
        content = {**asdict(asked), "email": asked.email[: LONGEST_EMAIL + 1]}
        sealed = self._vault.seal(Secret(json.dumps(content)), SealContext(_PLACE, job_id))
        await self._jobs.enqueue(session, name, {"id": str(job_id), "sealed": base64.b64encode(sealed).decode()})

    def _open(self, arguments: Mapping[str, Any]) -> Asked:
        sealed = base64.b64decode(arguments["sealed"])
        content = json.loads(self._vault.open(sealed, SealContext(_PLACE, UUID(arguments["id"]))).reveal())
        return Asked(content["email"], Where(**content["where"]), content["note"])
