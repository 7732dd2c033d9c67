"""What the routes of fixes and quarantines take and answer."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from basewarden.sentry.schemas import FindingReason, ProbeOut
from basewarden.web import RequestBody, ResponseBody


class FixBody(RequestBody):
    mode: Literal["preview", "apply"] = Field(description="`preview` tries the fix and rolls it back.")


class QuarantineBody(RequestBody):
    mode: Literal["preview", "apply"] = Field(
        default="apply", description="`preview` says whom it would cut off, and changes nothing."
    )
    reason: FindingReason | None = None


class FixTrialOut(ResponseBody):
    sql: str
    closes: bool = Field(description="Whether the rule no longer finds it with the fix.")
    reason: str | None = Field(description="Why it does not close the finding, or why it cannot be applied.")
    breaks: list[str] = Field(description="What worked before and does not after.")
    unknown: list[str] = Field(description="What cannot be known.")
    probes_before: list[ProbeOut]
    probes_after: list[ProbeOut]
    inverse: str | None = Field(
        description="What takes it back exactly, as it was tried. Without one it is not applied."
    )


class DependentOut(ResponseBody):
    kind: Literal["view", "function", "parent", "child"]
    name: str


class QuarantineTrialOut(ResponseBody):
    target: str = Field(examples=["table public.notes"])
    sql: str
    inverse: str
    cut_off: list[str] = Field(description="Roles that lose rights of their own. PUBLIC is every role.")
    agents: list[str] = Field(description="Agents whose requests run as one of these roles.")
    dependents: list[DependentOut] = Field(description="What uses the object; it may show what the object holds.")


class SentryChangeOut(ResponseBody):
    id: UUID
    finding_id: UUID
    kind: Literal["fix", "quarantine"]
    status: Literal["applying", "applied", "undoing", "undone", "failed", "ended"]
    target: str = Field(examples=["table public.notes"])
    sql: str
    inverse: str
    by: str | None
    started_at: datetime
    applied_at: datetime | None


class QuarantinesOut(ResponseBody):
    quarantines: list[SentryChangeOut]
