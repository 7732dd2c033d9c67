"""Deletes the alerts that are sent to a deleted person. Others that they created are kept without their name."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.accounts import Blocker
from basewarden.alerts import queries
from basewarden.db import ReadSession, WriteSession


class AlertErasure:
    async def list_blockers(self, session: ReadSession, person_id: UUID) -> Sequence[Blocker]:  # noqa: ARG002 - none
        return ()

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Locks nothing: an alert never blocks a deletion."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        return {"alerts": await queries.delete_alerts_of_person(session, person_id)}
