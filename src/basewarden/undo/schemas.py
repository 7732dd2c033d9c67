"""What an undo answers, for the OpenAPI document: `receipt.py` makes the bodies."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from basewarden.web import ResponseBody


class ColumnConflict(ResponseBody):
    """One column with its three values."""

    name: str
    before: Any = Field(description="Before the session.", examples=[11.9])
    session: Any = Field(description="What the session wrote.", examples=[12.5])
    now: Any = Field(description="What the row has now; null also where the row is gone.", examples=[13.0])


class RowConflictOut(ResponseBody):
    """A row that the undo cannot restore; `columns` is empty where it is about the whole row."""

    schema_: str = Field(alias="schema")
    table: str
    primary_key: dict[str, Any]
    columns: list[ColumnConflict]
    reason: str
    id: str | None = Field(
        description="Send it in `choices` to restore the row over its newer values; null where that is not possible."
    )


class BroughtBackOut(ResponseBody):
    """A session that is undone, whose values the undo would bring back."""

    session_id: UUID
    rows: int


class ReceiptOut(ResponseBody):
    """What an undo would do (a preview) or did; the counts are rows."""

    planned: int
    reverted: int
    skipped: int
    already_as_before: int = Field(description="Rows that already have their earlier values.")
    irreversible: list[str] = Field(description="What an undo cannot restore, in words.")
    notes: list[str] = Field(description="What a preview could not find out, in words.")
    brings_back: list[BroughtBackOut] = Field(
        description="Of a preview: rows that would get values back that a session wrote which is undone."
    )
    undo_session_id: UUID | None = Field(description="The session that the undo wrote; null for a preview.")
    preview_token: str | None = Field(description="Send it with `apply` to do exactly what was previewed.")
    conflicts: list[RowConflictOut]
    overwritten: list[RowConflictOut] = Field(description="Rows that are restored over newer values, as chosen.")


class KeptColumn(ResponseBody):
    name: str


class KeptRowOut(ResponseBody):
    """A row that the undo left as it was; `columns` is empty where it is about the whole row."""

    schema_: str = Field(alias="schema")
    table: str
    primary_key: dict[str, Any]
    columns: list[KeptColumn | str]
    reason: str


class OverwrittenColumn(ResponseBody):
    """Both values whole, as PostgreSQL's text; null also where the row was deleted."""

    name: str
    newer: str | None = Field(description="What the row had before the undo.", examples=["13.00"])
    restored: str | None = Field(examples=["11.90"])


class OverwrittenRowOut(ResponseBody):
    """A row that the undo restored over newer values. Undoing the undo brings them back."""

    schema_: str = Field(alias="schema")
    table: str
    primary_key: dict[str, Any]
    columns: list[OverwrittenColumn]


class StoredReceiptOut(ResponseBody):
    """The receipt of an undo as it was stored; the counts are rows."""

    planned: int
    reverted: int
    skipped: int
    already_as_before: int
    conflicts: list[KeptRowOut]
    overwritten: list[OverwrittenRowOut] | None = Field(
        default=None, description="Where newer values were overwritten."
    )
    irreversible: list[str]
    notes: list[str]
    undo_session_id: UUID
    session_id: UUID = Field(description="The session that was undone.")
    state: Literal["running", "done", "failed"]
    by: str = Field(examples=["Ada"])
    at: datetime
    writes: list[UUID] | None = Field(default=None, description="The writes that were undone, where not all were.")
    other_rows: int | None = Field(
        default=None, description="Rows that the session's other writes changed and that were not undone yet."
    )
    earlier_undos: list[UUID] | None = Field(
        default=None, description="Earlier undos of the session that were in effect, and undos in effect of those."
    )
    preview_token: str | None
    left: int | None = Field(description="What the undo did not revert of its session.")
    position: int | None = Field(description="The position up to which the session was read.")
    lasting: int = Field(description="What no undo can revert.")


class UndoConflictOut(ReceiptOut):
    """The receipt is in `details`, and its members are also beside `code`; nothing was changed."""

    code: Literal["undo_conflict"]
    message: str
    details: ReceiptOut
    hint: str | None


class PreviewStaleOut(ResponseBody):
    """`details` is the receipt of a new preview; nothing was changed."""

    code: Literal["preview_stale"]
    message: str
    details: ReceiptOut
    hint: str | None


class UndoReference(ResponseBody):
    undo_session_id: UUID | None


class AlreadyUndoneOut(ResponseBody):
    """`details` names the session of the earlier undo."""

    code: Literal["already_undone"]
    message: str
    details: UndoReference
    hint: str | None
