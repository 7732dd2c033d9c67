"""Removes a deleted person from what they have decided; the proposals themselves are kept."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.accounts import Blocker
from basewarden.db import ReadSession, WriteSession
from basewarden.journal import DELETED_PERSON
from basewarden.proposals.queries import anonymise_decisions


class ProposalErasure:
    async def list_blockers(self, session: ReadSession, person_id: UUID) -> Sequence[Blocker]:  # noqa: ARG002 - none
        return ()

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Locks nothing: proposals never block a deletion."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        return {"proposals": await anonymise_decisions(session, person_id, DELETED_PERSON)}
