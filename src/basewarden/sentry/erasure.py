"""Removes a deleted person from what they decided and changed; the findings and changes themselves are kept."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from basewarden.accounts import Blocker
from basewarden.db import ReadSession, WriteSession
from basewarden.journal import DELETED_PERSON
from basewarden.sentry.changes.queries import anonymise_changes
from basewarden.sentry.history.queries import anonymise_versions
from basewarden.sentry.queries import anonymise_events


class SentryErasure:
    async def list_blockers(self, session: ReadSession, person_id: UUID) -> Sequence[Blocker]:  # noqa: ARG002 - none
        return ()

    async def lock(self, session: WriteSession, person_id: UUID) -> None:
        """Locks nothing: findings never block a deletion."""

    async def forget(self, session: WriteSession, person_id: UUID) -> Mapping[str, int]:
        return {
            "sentry_finding_events": await anonymise_events(session, person_id, DELETED_PERSON),
            "sentry_changes": await anonymise_changes(session, person_id, DELETED_PERSON),
            "schema_versions": await anonymise_versions(session, person_id, DELETED_PERSON),
        }
