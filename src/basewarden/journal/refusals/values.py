"""A refused request, as the gateway reports it."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

OTHERS = "…"


@dataclass(frozen=True, slots=True)
class Refusal:
    """`label` is the client's own name for its session; `summary` holds no value of a row or a filter.

    `row_limit` is the agent's limit that a write would have passed, `after_reading` the columns that it had read.
    """

    connection_id: UUID
    agent_id: UUID
    agent_name: str
    code: str
    method: str
    table: str | None
    summary: str
    label: str | None = None
    row_limit: int | None = None
    after_reading: tuple[str, ...] = ()

    @property
    def kind(self) -> "RefusalKind":
        return RefusalKind(
            self.connection_id, self.agent_id, self.code, self.method, self.table, self.label, self.row_limit
        )

    def without_details(self) -> "Refusal":
        """Returns the refusal as it is counted once an agent has reached its limit of kinds for the hour."""
        return replace(self, method=OTHERS, table=None, summary="other requests", label=None)


@dataclass(frozen=True, slots=True)
class RefusalKind:
    """Refusals of one kind share one row per hour."""

    connection_id: UUID
    agent_id: UUID
    code: str
    method: str
    table: str | None
    label: str | None
    row_limit: int | None = None

    @property
    def key(self) -> str:
        limit = () if self.row_limit is None else (str(self.row_limit),)
        text = "\n".join((self.code, self.method, self.table or "", self.label or "\0", *limit))
        return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]


@dataclass(slots=True)
class RefusalCount:
    """A refusal and how often it occurred since it was last stored."""

    refusal: Refusal
    hour: datetime
    count: int = 1
