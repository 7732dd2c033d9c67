"""What becomes of the journal when a person leaves: all of it stays, and names them no longer."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.accounts import Blocker
from basewarden.db import ReadSession, WriteSession
from basewarden.journal import queries


class JournalLeaving:
    async def list_blockers(self, session: ReadSession, person_id: UUID) -> Sequence[Blocker]:  # noqa: ARG002 - none
        return ()

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Nothing here stands in anybody's way."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        return {"journal_sessions": await queries.forget_person(session, person_id)}
