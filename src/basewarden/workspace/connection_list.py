"""A person's connections with their last activity and what needs attention."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from basewarden.accounts import Person
from basewarden.connections import (
    Connection,
    Role,
    list_connections_by_id,
    list_named_connections,
    make_failure,
    needs_second_factor,
)
from basewarden.db import ReadSession
from basewarden.journal import RUNNING_WITHIN, LatestActivity, RowsWritten, count_rows_written, list_latest_activity

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
    is_locked: bool
    """It requires a second factor that the person does not have, so its activity is not shown."""

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


async def read_connections(db: ReadSession, person: Person, *, text: str | None, page: int) -> ConnectionPage:
    """Returns one page, from 1 on; the connections with the latest writes first."""
    found = await list_named_connections(db, person.id, text=text, limit=MAX_CONNECTIONS)
    ids = [row[0] for row in found]
    since = datetime.now(UTC) - LATELY
    latest = await list_latest_activity(db, ids, since=since, within=RUNNING_WITHIN)
    in_order = sorted(ids, key=lambda one: (latest[one].at or _NEVER, one), reverse=True)
    start = (page - 1) * PER_PAGE
    wanted = in_order[start : start + PER_PAGE]
    details = await list_connections_by_id(db, person.id, wanted)
    written = await count_rows_written(db, wanted, since=since, limit=MAX_WRITES)
    shown = [_make_listed(details[one], latest[one], written[one], person) for one in wanted if one in details]
    return ConnectionPage(shown, len(ids), len(ids) > start + PER_PAGE)


def _make_listed(
    found: tuple[Connection, str, int], latest: LatestActivity, written: RowsWritten, person: Person
) -> ListedConnection:
    connection, role, agents = found
    is_locked = needs_second_factor(connection, person)
    return ListedConnection(connection, Role(role), agents, latest, written, is_locked)
