"""What of a connection's data the OpenAPI document describes: `introspect`, which FastAPI does not serve.

The tables themselves are in PostgREST's contract; the root of their address describes them.
"""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field
from pydantic.json_schema import models_json_schema

from basewarden.errors import AppError, NotFound, TooMany
from basewarden.gateway import errors
from basewarden.journal import JournalUnavailable, SessionFrozen
from basewarden.policy import BudgetExceeded, ColumnDenied, FilterRequired, ReadOnly, RowLimit, TableDenied
from basewarden.proposals import (
    ApprovalRequired,
    NothingProposed,
    ProposalStatus,
    ProposalTooLarge,
    TooManyProposals,
)
from basewarden.web import CallerKind, ErrorBody, ResponseBody, declare

DATA_ERRORS: Final[tuple[type[AppError], ...]] = (
    ReadOnly,
    TableDenied,
    ColumnDenied,
    BudgetExceeded,
    FilterRequired,
    RowLimit,
    errors.NotCaptured,
    errors.CaptureNotVisible,
    errors.BodiesHeld,
    errors.WriteTooLarge,
    errors.WriteConflict,
    errors.PartlyWritten,
    errors.RollbackUnsupported,
    errors.UpstreamUnavailable,
    errors.OutcomeUnknown,
    errors.UpstreamTimeout,
    errors.UpstreamInvalid,
    errors.UpstreamKeyRefused,
    errors.UpstreamLimited,
    errors.NeedsPostgres,
    errors.SchemaNotExposed,
    errors.RoleUnsupported,
    errors.ColumnRulesUnsupported,
    ApprovalRequired,
    NothingProposed,
    ProposalTooLarge,
    TooManyProposals,
    SessionFrozen,
    JournalUnavailable,
    TooMany,
)
"""The errors of ours that a request to a connection's data can end in."""

_REFERENCE = "#/components/schemas/{model}"


class DescribedColumn(ResponseBody):
    name: str = Field(examples=["price"])
    type: str = Field(description="As a cast spells it.", examples=["numeric(10,2)"])
    nullable: bool
    default: str | None
    identity: bool = Field(examples=[False])
    generated: bool = Field(examples=[False])
    enum_values: list[str] = Field(examples=[[]])
    comment: str | None


class DescribedForeignKey(ResponseBody):
    name: str = Field(examples=["products_maker_id_fkey"])
    table: str = Field(examples=["public.products"])
    columns: list[str] = Field(examples=[["maker_id"]])
    references: str = Field(examples=["public.makers"])
    referenced_columns: list[str] = Field(examples=[["id"]])
    on_delete: str = Field(examples=["CASCADE"])
    on_update: str = Field(examples=["NO ACTION"])


class DescribedTable(ResponseBody):
    schema_: str = Field(alias="schema")
    name: str = Field(examples=["products"])
    kind: str = Field(description="table, partitioned, view, matview or foreign.", examples=["table"])
    comment: str | None
    primary_key: list[str]
    columns: list[DescribedColumn]
    relations: list[DescribedForeignKey] = Field(description="The foreign keys of the table.")
    referenced_by: list[DescribedForeignKey] = Field(description="The foreign keys that refer to it.", examples=[[]])


class DescribedSchema(ResponseBody):
    """The tables that the caller reaches."""

    tables: list[DescribedTable]


class PolledResult(ResponseBody):
    """As the write would have been answered; a body of more than 64 KB is null."""

    status: int = Field(examples=[200])
    body: Any


class PolledProposal(ResponseBody):
    """What became of an agent's own proposal. Members without a value are left out."""

    id: UUID
    status: ProposalStatus
    created_at: datetime
    expires_at: datetime
    session_id: UUID | None = Field(None, description="The session that the executed write belongs to.")
    result: PolledResult | None = None
    reason: str | None = Field(None, description="What the person wrote, or why it is stale or failed.")


def describe_data() -> dict[str, Any]:
    """Paths and schemas for the OpenAPI document."""
    models: list[tuple[type[ResponseBody], Literal["serialization"]]] = [
        (DescribedSchema, "serialization"),
        (PolledProposal, "serialization"),
    ]
    _, schemas = models_json_schema(models, by_alias=True, ref_template=_REFERENCE)
    return {
        "paths": {
            "/api/v/{connection_id}/introspect": {"get": _describe_introspect()},
            "/api/v/{connection_id}/proposals/{proposal_id}": {"get": _describe_poll()},
        },
        "components": {"schemas": schemas["$defs"]},
    }


def _describe_introspect() -> dict[str, Any]:
    answer = {"$ref": _REFERENCE.format(model=DescribedSchema.__name__)}
    error = {"$ref": _REFERENCE.format(model=ErrorBody.__name__)}
    refusals = declare(errors.SchemaNotExposed, errors.UpstreamTimeout, TooMany)
    return {
        "tags": ["data"],
        "summary": "Describes the tables, columns, keys and relations that the caller reaches.",
        "operationId": "introspect",
        "parameters": [
            {"name": "connection_id", "in": "path", "required": True, "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {"description": "Successful Response", "content": {"application/json": {"schema": answer}}},
            **{str(status): declared for status, declared in refusals.items()},
            "503": {
                "description": "The project cannot be reached; `code` can be one of PostgREST's.",
                "content": {"application/json": {"schema": error}},
            },
        },
        "x-callers": [CallerKind.AGENT.value, CallerKind.MEMBER.value],
    }


def _describe_poll() -> dict[str, Any]:
    answer = {"$ref": _REFERENCE.format(model=PolledProposal.__name__)}
    names = ("connection_id", "proposal_id")
    return {
        "tags": ["data"],
        "summary": "Returns what became of a proposal, for the agent that proposed it.",
        "operationId": "poll_proposal",
        "parameters": [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names],
        "responses": {
            "200": {"description": "Successful Response", "content": {"application/json": {"schema": answer}}},
            **{str(status): declared for status, declared in declare(NotFound, TooMany).items()},
        },
        "x-callers": [CallerKind.AGENT.value],
    }
