"""Anonymises a deleted person's sessions and interventions; the journal itself is kept."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.accounts import Blocker
from basewarden.db import ReadSession, WriteSession
from basewarden.journal import queries
from basewarden.journal.interventions.queries import anonymise_interventions


class JournalErasure:
    async def list_blockers(self, session: ReadSession, person_id: UUID) -> Sequence[Blocker]:  # noqa: ARG002 - none
        return ()

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Locks nothing: the journal never blocks a deletion."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        return {
            "journal_sessions": await queries.anonymise_person(session, person_id),
            "journal_interventions": await anonymise_interventions(session, person_id, queries.DELETED_PERSON),
        }
