"""What the journal answers.

Where `service.py` makes the body itself, the model is for the OpenAPI document alone: the row images in the body stay
the text that PostgreSQL wrote. Other routes return their model.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from basewarden.web import ResponseBody


class AgentNamed(ResponseBody):
    id: UUID = Field(examples=["0198f3a2-8d2f-7e55-8c2b-3a7e1d6f9b42"])
    name: str = Field(examples=["price-bot"])


class JournalSessionOut(ResponseBody):
    """A session: a run of writes by one caller."""

    id: UUID = Field(examples=["0198f3a4-1b4c-7aa8-9d4c-5b9f3e8a0c64"])
    agent: AgentNamed | None = Field(description="The agent that wrote; null for a member and for an undo.")
    caller: str = Field(description="The name of the agent or member.")
    kind: Literal["agent", "member", "undo"]
    label: str | None = Field(description="What the client sent in x-basewarden-session.")
    title: str = Field(description="What it did, in words.", examples=["Deleted 120 customers, changed 261 prices"])
    capture: Literal["statement", "representation"] = Field(
        description="statement: recorded in the database, exactly. representation: recorded over the project's API."
    )
    started_at: datetime
    last_seen_at: datetime
    status: Literal["active", "ended", "frozen", "undone", "partly_undone"]
    frozen_at: datetime | None
    frozen_reason: Literal["budget", "member"] | None
    write_count: int
    mutation_count: int = Field(description="Committed row changes.")
    pending_count: int = Field(description="Row changes whose write is not settled yet.")
    unknown_count: int = Field(description="Row changes whose outcome is unknown.")
    refused_count: int = Field(description="Requests in this session that policy refused.")
    tables: list[str]
    undo_of: UUID | None = Field(description="Of an undo: the session that it undid.")


class JournalSessionsOut(ResponseBody):
    sessions: list[JournalSessionOut]
    next_cursor: str | None


class UncapturedOut(ResponseBody):
    """Row changes that a write's functions or triggers made and that were counted, not recorded."""

    schema_: str = Field(alias="schema")
    table: str
    inserted: int
    updated: int
    deleted: int
    emptied: bool = Field(default=False, description="TRUNCATE or DROP removed rows that were not counted.")


class JournalWriteOut(ResponseBody):
    """One transaction on the project's database."""

    id: UUID
    at: datetime
    state: Literal["pending", "committed", "unknown"]
    verb: str
    summary: str
    tables: list[str]
    mutation_count: int
    unseen: list[UncapturedOut]


class MutationOut(ResponseBody):
    """One row changed by one write, with the row before and after it."""

    id: str
    position: int
    schema_: str = Field(alias="schema")
    table: str
    verb: Literal["insert", "update", "delete"]
    cause: str = Field(description="request, or the foreign key that cascaded the change.")
    primary_key: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    before_exact: dict[str, str | None] | None = Field(description="The columns in PostgreSQL's own text.")
    after_exact: dict[str, str | None] | None
    at: datetime
    state: Literal["pending", "committed", "unknown"]
    write_id: UUID


class JournalSessionDetail(JournalSessionOut):
    """A session with its writes and its mutations in order."""

    writes: list[JournalWriteOut]
    mutations: list[MutationOut]
    next_after: int | None = Field(description="The `after` of the next page; null on the last one.")


class RefusalOut(ResponseBody):
    """Requests of one kind in one hour that policy refused."""

    at: datetime = Field(description="The last time.")
    first_at: datetime
    count: int
    agent_id: UUID
    agent: str
    code: str = Field(examples=["row_limit"])
    method: str
    table: str | None
    summary: str = Field(description="The request without its values.")
    after_reading: list[str] = Field(
        description="Of `egress_blocked`: the columns that the agent had read.", examples=[["public.customers.email"]]
    )
    session_id: UUID | None


class RefusalsOut(ResponseBody):
    refusals: list[RefusalOut]
    next_cursor: str | None
