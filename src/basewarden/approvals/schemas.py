"""What the routes of proposals take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from basewarden.journal import AgentNamed, Reason, UncapturedOut
from basewarden.proposals import ProposalStatus
from basewarden.web import RequestBody, ResponseBody

MAX_TOGETHER = 50


class DecisionBody(RequestBody):
    reason: Reason | None = None


class DecisionsBody(DecisionBody):
    ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_TOGETHER)]


class ApprovedOut(ResponseBody):
    id: UUID
    status: Literal["executed"]
    session_id: UUID | None = Field(description="The session that the write belongs to, which can be undone.")


class DeclinedOut(ResponseBody):
    id: UUID
    status: Literal["declined"]


class DecisionOut(ResponseBody):
    """One of several: its status, or the error of deciding it."""

    id: UUID
    status: Literal["executed", "declined"] | None
    session_id: UUID | None
    code: str | None = Field(examples=["proposal_stale"])
    message: str | None


class DecisionsOut(ResponseBody):
    results: list[DecisionOut]


class PersonNamed(ResponseBody):
    id: UUID
    name: str


class ProposalOut(ResponseBody):
    """A write of an agent that waits for an approval, or did."""

    id: UUID
    agent: AgentNamed
    label: str | None = Field(description="What the client sent in x-basewarden-session.")
    status: ProposalStatus
    created_at: datetime
    expires_at: datetime
    verb: str = Field(description="insert, update, delete or call.", examples=["update"])
    schema_: str = Field(alias="schema")
    table: str
    tables: list[str] = Field(description="Of every row that it would change.")
    summary: str
    row_count: int = Field(description="Rows that it would change; over a project's API, at most.")
    unseen: list[UncapturedOut] = Field(description="Changes by functions and triggers, which are counted.")
    after_reading: list[str] = Field(
        description="Tables that the agent had read, and whose rows strangers may have written: why it was held."
    )
    is_computed: bool = Field(description="The rows after are computed from the request, not by the database.")
    decided_by: PersonNamed | None
    decided_at: datetime | None
    reason: str | None
    session_id: UUID | None
    failure: str | None = Field(description="Why it is stale or failed.")


class ProposalsOut(ResponseBody):
    proposals: list[ProposalOut]
    next_cursor: UUID | None


class ProposedChangeOut(ResponseBody):
    """A row as it was when the write was proposed, which it must still be, and as it would be after it.

    Over a project's API, `after` of a row that a foreign key may change is not known, and null.
    """

    position: int
    schema_: str = Field(alias="schema")
    table: str
    verb: Literal["insert", "update", "delete"]
    cause: str = Field(description="request, or the foreign key that would cascade the change.")
    primary_key: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    before_exact: dict[str, str | None] | None = Field(description="The columns in PostgreSQL's own text.")
    after_exact: dict[str, str | None] | None


class ProposedRequestOut(ResponseBody):
    method: str
    path: str
    query: str
    body: str | None = Field(description="As text; null where it is long or no text.")


class ProposalDetailOut(ProposalOut):
    request: ProposedRequestOut
    changes: list[ProposedChangeOut]
