"""What agents did and what was refused, as the journal provides it to the pages of agents."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.db import ReadSession


@dataclass(frozen=True, slots=True)
class AgentCounts:
    """Sessions that were written to, and refused requests, since a moment; `running` sessions are written to now.

    `last_write_at` is the time of the agent's last write ever.
    """

    sessions: int = 0
    blocked: int = 0
    running: int = 0
    last_write_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgentUndone:
    """What undos did with a session's rows; `is_all_kept`: the ones that are left keep newer edits."""

    undone: int
    total: int
    left: int
    is_all_kept: bool

    def describe(self) -> str:
        """Returns "103 of 104 undone"."""
        return f"{self.undone:,} of {self.total:,} undone"


@dataclass(frozen=True, slots=True)
class AgentSession:
    """`budget_used` counts the writes since the session was last released.

    `state` is the one that pages show, `undone` says how much of a partly undone one; `is_frozen`: the session itself.
    """

    id: UUID
    title: str
    status: str
    last_seen_at: datetime
    writes: int
    rows: int
    blocked: int
    budget_used: int
    state: str = ""
    is_undoable: bool = False
    undone: AgentUndone | None = None
    is_frozen: bool = False

    @property
    def is_running(self) -> bool:
        """True when it counts against a budget: it is active, or its budget is used up, or its agent is frozen."""
        return self.status in ("active", "frozen")


@dataclass(frozen=True, slots=True)
class AgentRefusal:
    """Refused requests of one kind, `what` in words; `at` is the time of the last of `count`."""

    at: datetime
    what: str
    request: str
    reason: str
    code: str
    count: int
    session_id: UUID | None


@dataclass(frozen=True, slots=True)
class AgentRefusalCount:
    """How many requests were refused for one reason in a day and in a week."""

    reason: str
    code: str
    day: int
    week: int


@dataclass(frozen=True, slots=True)
class AgentIntervention:
    """Who stopped or released the agent or one of its sessions; `what` goes on after the name."""

    at: datetime
    who: str
    what: str
    reason: str | None
    action: str
    session_id: UUID | None
    user_id: UUID | None


@dataclass(frozen=True, slots=True)
class AgentHistory:
    """The last sessions, refusals and interventions, and counts for each of the last 24 hours, the oldest first."""

    sessions: Sequence[AgentSession]
    refusals: Sequence[AgentRefusal]
    reasons: Sequence[AgentRefusalCount]
    interventions: Sequence[AgentIntervention]
    rows_by_hour: Sequence[int]
    blocked_by_hour: Sequence[int]


@dataclass(frozen=True, slots=True)
class AgentActivity:
    """`count` takes agents and a moment.

    `list_rows` counts the rows that agents wrote in each of the last 24 hours, the oldest first.
    """

    count: Callable[[ReadSession, UUID, Sequence[UUID], datetime], Awaitable[Mapping[UUID, AgentCounts]]]
    read: Callable[[ReadSession, UUID, UUID], Awaitable[AgentHistory]]
    list_rows: Callable[[ReadSession, UUID, Sequence[UUID]], Awaitable[Mapping[UUID, Sequence[int]]]]
