"""A person's connections with their last activity and what needs attention."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from basewarden.connections import (
    Connection,
    Role,
    list_connections_by_id,
    list_named_connections,
    make_failure,
)
from basewarden.db import ReadSession
from basewarden.journal import ACTIVE_WITHIN, LatestActivity, RowsWritten, count_rows_written, list_latest_activity

PER_PAGE = 24
MAX_CONNECTIONS = 500
"""Connections that are sorted by their activity; a person with more finds the others by name."""
LATELY = timedelta(days=1)
MAX_WRITES = 500
"""Writes of each connection that the list counts rows of."""
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ListedConnection:
    connection: Connection
    role: Role
    agents: int
    latest: LatestActivity
    written: RowsWritten

    @property
    def failure(self) -> str | None:
        """Why the last check failed."""
        error = make_failure(self.connection)
        return error.text if error is not None else None


@dataclass(frozen=True, slots=True)
class ConnectionPage:
    shown: list[ListedConnection]
    total: int
    has_next: bool


async def read_connections(db: ReadSession, person_id: UUID, *, text: str | None, page: int) -> ConnectionPage:
    """Returns one page, from 1 on; the connections with the latest writes first."""
    found = await list_named_connections(db, person_id, text=text, limit=MAX_CONNECTIONS)
    ids = [row[0] for row in found]
    since = datetime.now(UTC) - LATELY
    latest = await list_latest_activity(db, ids, since=since, within=ACTIVE_WITHIN)
    in_order = sorted(ids, key=lambda one: (latest[one].at or _NEVER, one), reverse=True)
    start = (page - 1) * PER_PAGE
    wanted = in_order[start : start + PER_PAGE]
    details = await list_connections_by_id(db, person_id, wanted)
    written = await count_rows_written(db, wanted, since=since, limit=MAX_WRITES)
    shown = [
        ListedConnection(details[one][0], Role(details[one][1]), details[one][2], latest[one], written[one])
        for one in wanted
        if one in details
    ]
    return ConnectionPage(shown, len(ids), len(ids) > start + PER_PAGE)
