"""The state of a session: one word for the API, one for pages. `stops/queries.py` has the same rules as SQL."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

from basewarden.journal.models import JournalSession

ACTIVE_WITHIN = timedelta(minutes=5)
"""An agent's session whose last write is not older than this is active, unless the agent is stopped."""
RUNNING_WITHIN = timedelta(seconds=30)
"""Pages call an active session running while its last write is not older than this, then idle."""


@dataclass(frozen=True, slots=True)
class AgentStop:
    """Why an agent writes nothing: it is frozen or paused since `at`, or its token has ended.

    `is_alone`: not with all agents of the connection.
    """

    kind: Literal["frozen", "paused", "ended"]
    at: datetime | None = None
    is_alone: bool = True


@dataclass(frozen=True, slots=True)
class UndoneRows:
    """What the undos of a session did: `undone` of its rows are as before it, `left` are not.

    The undo `undo_id` is the newest, by `caller`. `writes` are those that were undone; None = all of them. `kept` rows
    were left because they were edited since. `times` has each undo, the newest last, and its writes.
    """

    undone: int
    left: int
    kept: int
    undo_id: UUID
    caller: str
    at: datetime
    writes: frozenset[UUID] | None = None
    times: tuple[tuple[datetime, frozenset[UUID] | None], ...] = ()

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

    def find_time(self, write_id: UUID) -> datetime:
        """When the last undo of this write began."""
        found = (at for at, writes in reversed(self.times) if writes is None or write_id in writes)
        return next(found, self.at)


def find_status(session: JournalSession, stop: AgentStop | None = None) -> str:
    """Returns the status in the API: undone, partly_undone, frozen, active or ended. `stop` is its agent's."""
    if session.status not in ("open", "held"):
        return session.status
    if session.frozen_at is not None:
        return "frozen"
    # Only an agent works by itself: a person's edits and an undo are done when they are written.
    if session.kind != "agent" or not _was_written_within(session, ACTIVE_WITHIN, stop):
        return "ended"
    if stop is not None:
        return "frozen" if stop.kind == "frozen" else "ended"
    return "active"


def find_state(session: JournalSession, stop: AgentStop | None = None, *, is_redo: bool = False) -> str:
    """Returns the state as all pages show it; "" where there is none, as of a person's own edits or of an undo."""
    if session.undo_state in ("failed", "running"):
        return {"failed": "failed", "running": "redoing" if is_redo else "undoing"}[session.undo_state]
    if session.status == "held":
        return "being undone"
    status = find_status(session, stop)
    if status not in ("active", "ended"):
        return status.replace("_", " ")
    return _describe_agent_session(session, stop, status) if session.kind == "agent" else ""


def _describe_agent_session(session: JournalSession, stop: AgentStop | None, status: str) -> str:
    if status == "active":
        return "running" if _was_written_within(session, RUNNING_WITHIN) else "idle"
    is_paused = stop is not None and stop.kind == "paused" and _was_written_within(session, ACTIVE_WITHIN, stop)
    return "paused" if is_paused else "ended"


def _was_written_within(session: JournalSession, period: timedelta, stop: AgentStop | None = None) -> bool:
    """Whether its last write was this recent when its agent was stopped; else whether it is now."""
    until = stop.at if stop is not None and stop.at is not None else datetime.now(UTC)
    return until - session.last_seen_at < period
