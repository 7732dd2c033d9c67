"""The state of a session: one word for the API, one for pages. `queries.IS_ACTIVE` is the same rule as SQL."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from basewarden.journal.models import JournalSession

ACTIVE_WITHIN = timedelta(minutes=5)
"""An agent's session whose last write is not older than this is active."""


@dataclass(frozen=True, slots=True)
class UndoneRows:
    """What the undos of a session did: `undone` of its rows are as before it, `left` are not.

    The undo `undo_id` is the newest, by `caller`. `writes` are those that were undone; None = all of them. `kept` rows
    were left because they were edited since.
    """

    undone: int
    left: int
    kept: int
    undo_id: UUID
    caller: str
    at: datetime
    writes: frozenset[UUID] | None = None

    @property
    def total(self) -> int:
        return self.undone + self.left

    @property
    def is_all_kept(self) -> bool:
        """Whether each row that is left keeps a newer edit, so that another undo finds nothing to do."""
        return 0 < self.left <= self.kept

    def describe(self) -> str:
        """Returns "103 of 104 undone"."""
        return f"{self.undone:,} of {self.total:,} undone"

    def covers(self, write_id: UUID) -> bool:
        return self.writes is None or write_id in self.writes


def is_active(session: JournalSession) -> bool:
    """Only an agent works by itself: a person's edits and an undo are done when they are written."""
    is_recent = datetime.now(UTC) - session.last_seen_at < ACTIVE_WITHIN
    return session.kind == "agent" and session.status in ("open", "held") and session.frozen_at is None and is_recent


def find_status(session: JournalSession) -> str:
    """Returns the status in the API: undone, partly_undone, frozen, active or ended."""
    if session.status not in ("open", "held"):
        return session.status
    if session.frozen_at is not None:
        return "frozen"
    return "active" if is_active(session) else "ended"


def find_state(session: JournalSession, *, is_redo: bool = False) -> str:
    """Returns the state as all pages show it; "" where there is none, as of a person's own edits or of an undo."""
    if session.undo_state in ("failed", "running"):
        return {"failed": "failed", "running": "redoing" if is_redo else "undoing"}[session.undo_state]
    if session.status == "held":
        return "being undone"
    status = find_status(session)
    if status not in ("active", "ended"):
        return status.replace("_", " ")
    return {"active": "running", "ended": "ended"}[status] if session.kind == "agent" else ""
