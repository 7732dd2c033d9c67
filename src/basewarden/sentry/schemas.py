"""What the routes of the sentry take and answer."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field

from basewarden.connections import SchemaNames
from basewarden.core.text import check_encodable, clean_line
from basewarden.web import RequestBody, ResponseBody

MAX_REASON = 500
FindingReason = Annotated[
    str, AfterValidator(check_encodable), AfterValidator(clean_line), Field(max_length=MAX_REASON)
]
"""May be empty."""


class ScanBody(RequestBody):
    schemas: Annotated[SchemaNames, Field(min_length=1)] | None = Field(
        default=None, description="Those that the project's API exposes; else the connection's, or they are looked up."
    )


class RuleOut(ResponseBody):
    rule: str = Field(examples=["rls_off"])
    state: Literal["ran", "failed", "not_run", "not_applicable"]
    reason: str | None
    findings: int
    severities: dict[Literal["critical", "warning", "info"], int] = Field(
        default_factory=dict,
        description="How many of the findings are so bad; empty until the scan has ended.",
        examples=[{"critical": 2, "info": 3}],
    )
    duration_ms: int


class ScanOut(ResponseBody):
    id: UUID
    status: Literal["running", "done", "failed"]
    cause: Literal["request", "schedule", "schema_change"] = Field(description="Why it was started.")
    started_at: datetime
    finished_at: datetime | None
    schemas: list[str]
    schemas_from: Literal["request", "connection", "project", "api", "default"] | None = Field(
        description="Where they come from: the request, the connection's settings, those of the project, its API, or"
        " `public` for want of any."
    )
    rules: list[RuleOut] = Field(description="In a running scan, those that have ended.")
    opened: int
    closed: int
    failure: str | None


class ScansOut(ResponseBody):
    scans: list[ScanOut]
    next_cursor: UUID | None


class FindingObjectOut(ResponseBody):
    type: str = Field(examples=["table"])
    schema_: str = Field(alias="schema")
    name: str
    column: str | None
    arguments: str | None


class ProbeOut(ResponseBody):
    as_: str = Field(
        alias="as", description="anon, user_a or user_b. The users are made up; what is tried is a row of user_b."
    )
    verb: Literal["select", "insert", "update", "delete"]
    attempt: Literal["select", "insert", "update", "delete", "hand_over"] | None = Field(
        default=None, description="What was tried; hand_over: user A gave a row of their own to another user."
    )
    outcome: Literal["rows", "none", "denied", "error", "not_run"]
    rows: int | None = Field(description="Counted up to 1,000.")
    columns: list[str] = Field(description="Sensitive columns that it could read.")
    reason: str | None
    brought: bool = Field(
        default=False, description="Whether it was tried on a row that the probe made up and took back."
    )


class EvidenceOut(ResponseBody):
    catalog: dict[str, Any]
    probes: list[ProbeOut]
    is_empty: bool | None = Field(description="Whether there is no row at all, so that no probe proves anything.")


class FindingOut(ResponseBody):
    id: UUID
    fingerprint: str = Field(description="The same in every scan.")
    rule: str
    severity: Literal["critical", "warning", "info"]
    title: str
    explanation: str
    object: FindingObjectOut
    status: Literal["open", "acknowledged", "resolved", "quarantined"]
    first_seen_at: datetime
    last_seen_at: datetime
    acknowledged_until: datetime | None


class FindingsOut(ResponseBody):
    findings: list[FindingOut]
    next_offset: int | None


class FindingEventOut(ResponseBody):
    kind: Literal[
        "opened",
        "reopened",
        "resolved",
        "expired",
        "acknowledged",
        "opened_again",
        "fix_applied",
        "fix_undone",
        "quarantined",
        "released",
        "quarantine_ended",
        "quarantine_lost",
    ]
    at: datetime
    by: str | None
    reason: str | None
    sql: str | None = Field(description="What ran in the project's database.")


class FileConnectionOut(ResponseBody):
    id: UUID
    name: str


class FindingFixOut(ResponseBody):
    sql: str


class ProvenFindingOut(FindingOut):
    evidence: EvidenceOut
    request: str | None = Field(description="What a stranger would send.")
    fix: FindingFixOut | None


class FindingDetailOut(ProvenFindingOut):
    history: list[FindingEventOut]


class FindingsFileOut(ResponseBody):
    connection: FileConnectionOut
    written_at: datetime
    findings: list[ProvenFindingOut]


class SarifLogOut(ResponseBody):
    """SARIF 2.1.0, which code scanning reads."""

    version: Literal["2.1.0"]
    runs: list[dict[str, Any]]


class FindingChangeBody(RequestBody):
    status: Literal["acknowledged", "open"]
    reason: FindingReason | None = None
    until: AwareDatetime | None = Field(default=None, description="When an acknowledgement ends.")
