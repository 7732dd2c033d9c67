"""What the routes of schema versions answer."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from basewarden.web import ResponseBody


class VersionAuthorOut(ResponseBody):
    cause: Literal["first", "session", "fix", "quarantine", "outside", "unknown"] = Field(
        description="`session`: a write or a call through Basewarden. `unknown`: others, or a function that was called"
        " through Basewarden."
    )
    name: str | None = Field(description="The agent's or member's.")
    is_shared: bool = Field(description="Whether others changed something, too.")
    session_id: UUID | None
    finding_id: UUID | None


class SchemaVersionOut(ResponseBody):
    number: int = Field(examples=[12])
    at: datetime
    by: VersionAuthorOut
    added: int
    changed: int
    removed: int
    summary: list[str] = Field(
        description="The first sentences of what changed.",
        examples=[["Column email of public.people was added: text."]],
    )


class SchemaVersionsOut(ResponseBody):
    versions: list[SchemaVersionOut]
    checked_at: datetime | None = Field(description="When the schema was last read.")
    problem: str | None = Field(description="Why it could not be read the last time.")
    next_cursor: int | None


class SchemaChangeOut(ResponseBody):
    action: Literal["added", "changed", "removed"]
    kind: str = Field(examples=["column"])
    object: str = Field(examples=["public.people"])
    part: str = Field(description="What of the object: a column, a policy; a function's arguments.", examples=["email"])
    sentence: str = Field(examples=["Column email of public.people was added: text."])
    sql: str = Field(examples=['ALTER TABLE "public"."people" ADD COLUMN "email" text;'])


class SchemaDiffOut(SchemaVersionOut):
    from_: int | None = Field(alias="from", description="The version that it is compared with; null: none is kept.")
    changes: list[SchemaChangeOut]
    total: int = Field(description="How many changes there are.")
    next_offset: int | None
