"""Freezes and releases sessions at a member's request.

Both are announced at the commit, so that the page which follows shows it; the database announces it as well.
"""

from datetime import UTC, datetime
from uuid import UUID

from basewarden.core.ids import parse_id
from basewarden.db import Listener, WriteSession
from basewarden.errors import Conflict, NotFound
from basewarden.journal.models import JournalSession
from basewarden.journal.notices import LIVE_TOPIC
from basewarden.journal.queries import lock_session

BY_MEMBER = "member"


class NotFreezable(Conflict):
    code = "not_freezable"
    message = "The session of an undo cannot be frozen."


async def freeze_session(db: WriteSession, listener: Listener, connection_id: UUID, session_id: str) -> None:
    """Refuses writes to this session from the commit on. An already frozen session is unchanged."""
    session = await _lock(db, connection_id, session_id)
    if session.kind == "undo":
        raise NotFreezable
    if session.frozen_at is None:
        session.frozen_at, session.frozen_reason = datetime.now(UTC), BY_MEMBER
        await listener.announce(db, LIVE_TOPIC, str(connection_id))


async def release_session(db: WriteSession, listener: Listener, connection_id: UUID, session_id: str) -> None:
    """Accepts writes again, with a full new budget."""
    session = await _lock(db, connection_id, session_id)
    if session.frozen_at is not None:
        session.frozen_at = session.frozen_reason = None
        session.budget_from, session.rows_from = session.write_count, session.row_count
        await listener.announce(db, LIVE_TOPIC, str(connection_id))


async def _lock(db: WriteSession, connection_id: UUID, session_id: str) -> JournalSession:
    known = parse_id(session_id)
    found = await lock_session(db, connection_id, known) if known else None
    if found is None:
        raise NotFound("There is no such session.")
    return found
