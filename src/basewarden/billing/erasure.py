"""Erases a person from billing: their subscription is cancelled, and the remaining rows no longer name them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.accounts import Blocker
from basewarden.billing import queries
from basewarden.billing.jobs import BillingJobs
from basewarden.db import ReadSession, WriteSession


class BillingErasure:
    """Keeps amounts and ids, because an operator's accounts must still add up.

    Deletes the bodies of deliveries, which contain names.
    """

    def __init__(self, jobs: BillingJobs) -> None:
        self._jobs = jobs

    async def list_blockers(self, _session: ReadSession, _person_id: UUID) -> Sequence[Blocker]:
        """Nothing prevents a deletion: a running subscription is cancelled."""
        return ()

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Locks nothing: the deletion itself locks the person's row, and deliveries wait for that lock."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        await self._jobs.cancel_all(session, person_id)
        return {"billing_event": len(await queries.erase_payloads(session, person_id))}
