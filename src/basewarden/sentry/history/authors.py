"""Who changed a schema: known where the transaction that did it is one of ours, and only then.

Each row of PostgreSQL's catalog names the transaction that wrote it, and our journal has the ids of its own. Only
those count that had not ended at the last reading: an object keeps rows of all who changed it before. What was removed
has left no row, but a fix is known by its objects. What a function does in a block that catches errors has another id.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.journal import JournalSession
from basewarden.sentry.access.state import AccessKind, decode_states
from basewarden.sentry.history import queries
from basewarden.sentry.history.comparing import StructureChange
from basewarden.sentry.history.reading import ReadStructure
from basewarden.sentry.models import ChangeStatus, SchemaHead, SentryChange, VersionCause

_LONGEST_WRITE: Final = timedelta(minutes=10)
"""A write is journaled before it commits."""
_MOST_XIDS: Final = 1_000
_OBJECTS: Final = ("storage", "objects")
"""Whose policies close a bucket."""
_TAKEN_BACK: Final = frozenset({ChangeStatus.UNDOING, ChangeStatus.UNDONE})


@dataclass(frozen=True, slots=True)
class VersionAuthor:
    """`is_shared`: others changed something, too. `session_id` is the journal's."""

    cause: VersionCause
    name: str | None = None
    user_id: UUID | None = None
    session_id: UUID | None = None
    finding_id: UUID | None = None
    is_shared: bool = False


async def find_author(
    session: AsyncSession, head: SchemaHead, changes: Sequence[StructureChange], read: ReadStructure
) -> VersionAuthor:
    writers = _list_writers(changes, read.writers)
    xids = sorted(one for one in writers if one >= head.next_xid or one in head.unfinished)[-_MOST_XIDS:]
    since = (head.checked_at or datetime.now(UTC)) - _LONGEST_WRITE
    sessions = await queries.list_writing_sessions(session, head.connection_id, xids, since)
    names = {(change.key.schema, change.key.name) for change in changes}
    fixes = await queries.list_changes_since(session, head)
    ours = {xid: _of_session(one) for xid, one in sessions.items()}
    ours |= {one.xid: _of_fix(one) for one in fixes if one.xid in writers or not names.isdisjoint(_list_objects(one))}
    if ours:
        has_others = len({(one.cause, one.name) for one in ours.values()}) > 1
        has_others |= any(one not in ours for one in xids)
        return replace(ours[max(ours)], is_shared=has_others)
    has_calls = await queries.has_calls(session, head.connection_id, since)
    return VersionAuthor(VersionCause.UNKNOWN if has_calls else VersionCause.OUTSIDE)


def _list_writers(
    changes: Iterable[StructureChange], writers: Mapping[tuple[str, str], frozenset[int]]
) -> frozenset[int]:
    """Of the objects that changed; the catalog has no row of those that are gone."""
    nothing: frozenset[int] = frozenset()
    return nothing.union(*(writers.get((change.key.schema, change.key.name), nothing) for change in changes))


def _list_objects(one: SentryChange) -> frozenset[tuple[str, str]]:
    """What a fix or a quarantine is about, by schema and name: of a policy that it removed, no row is left."""
    states = [*decode_states(one.before), *decode_states(one.after)]
    return frozenset(_OBJECTS if state.kind is AccessKind.BUCKET else (state.schema, state.name) for state in states)


def _of_session(one: JournalSession) -> VersionAuthor:
    return VersionAuthor(VersionCause.SESSION, one.caller_name, one.user_id, session_id=one.id)


def _of_fix(one: SentryChange) -> VersionAuthor:
    is_back = one.status in _TAKEN_BACK
    name, person = (one.undone_by_name, one.undone_by) if is_back else (one.actor_name, one.actor_id)
    return VersionAuthor(VersionCause(one.kind), name, person, finding_id=one.finding_id)
