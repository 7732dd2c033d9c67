"""Freezes and releases sessions. What is frozen ends the session's running writes in every process."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from basewarden.connections import STOP_TOPIC, Stop
from basewarden.core.ids import parse_id
from basewarden.db import Listener, WriteSession
from basewarden.errors import Conflict, NotFound
from basewarden.journal.models import JournalSession
from basewarden.journal.queries import lock_session
from basewarden.journal.sessions import ACTIVE_WITHIN

BY_MEMBER = "member"


class NotFreezable(Conflict):
    code = "not_freezable"
    message = "The session of an undo cannot be frozen."


async def freeze_session(
    db: WriteSession, listener: Listener, connection_id: UUID, session_id: str
) -> JournalSession | None:
    """Refuses writes to this session from the commit on; None if it is frozen already."""
    session = await _lock(db, connection_id, session_id)
    if session.kind == "undo":
        raise NotFreezable
    if session.frozen_at is not None:
        return None
    session.frozen_at, session.frozen_reason = datetime.now(UTC), BY_MEMBER
    if session.agent_id is not None and _may_be_written(session):
        stop = Stop("session", session.agent_id, session.id, session.label)
        await listener.announce(db, STOP_TOPIC, stop.encode())
    return session


async def release_session(db: WriteSession, connection_id: UUID, session_id: str) -> tuple[JournalSession, bool]:
    """Accepts writes again, with a full new budget; the second value says whether the session was frozen."""
    session = await _lock(db, connection_id, session_id)
    if session.frozen_at is None:
        return session, False
    session.frozen_at = session.frozen_reason = None
    session.budget_from, session.rows_from = session.write_count, session.row_count
    return session, True


def _may_be_written(session: JournalSession) -> bool:
    """Whether a write that runs now may belong to it: without a name it ends after a pause."""
    return session.label is not None or datetime.now(UTC) - session.last_seen_at < ACTIVE_WITHIN + timedelta(minutes=1)


async def _lock(db: WriteSession, connection_id: UUID, session_id: str) -> JournalSession:
    known = parse_id(session_id)
    found = await lock_session(db, connection_id, known) if known else None
    if found is None:
        raise NotFound("There is no such session.")
    return found
