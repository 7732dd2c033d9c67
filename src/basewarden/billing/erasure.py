"""What becomes of billing when a person leaves: they pay no more, and what is left names them no longer."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.accounts import Blocker
from basewarden.billing import queries
from basewarden.billing.jobs import BillingJobs
from basewarden.db import ReadSession, WriteSession


class BillingErasure:
    """Amounts and ids stay: an operator's books must still add up. Bodies of deliveries, which hold names, go."""

    def __init__(self, jobs: BillingJobs) -> None:
        self._jobs = jobs

    async def list_blockers(self, _session: ReadSession, _person_id: UUID) -> Sequence[Blocker]:
        """Nothing stands in the way: a running subscription is cancelled."""
        return ()

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Locks nothing: the deletion itself locks the person's row, and deliveries wait for that."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        await self._jobs.cancel_all(session, person_id)
        return {"billing_event": len(await queries.erase_payloads(session, person_id))}
