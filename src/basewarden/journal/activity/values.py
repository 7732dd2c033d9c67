"""What is known of a connection's activity."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class LatestActivity:
    """A connection's last write by time, and what a member should look at; `at` is None before the first write."""

    at: datetime | None = None
    caller: str | None = None
    is_agent: bool = False
    is_active: bool = False
    frozen: int = 0
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class RowsWritten:
    """`is_cut`: there were more writes than are read, so there are more rows."""

    rows: int = 0
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a connection has come: the newest session of an agent, and whether any session was undone."""

    agent_session_id: UUID | None = None
    has_undo: bool = False
