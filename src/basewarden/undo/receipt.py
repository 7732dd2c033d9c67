"""The receipt of an undo and its conflicts."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import msgspec

from basewarden.undo.row_samples import TableSample
from pgrest import Column, Name

OnConflict = Literal["refuse", "skip"]
_MOST_DIGITS = 200
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class ColumnValues:
    """One column of a row in conflict as JSON values: before the session, after it, and now (None also: no row)."""

    name: str
    before: Any = None
    session: Any = None
    now: Any = None

    def body(self) -> dict[str, Any]:
        return {"name": self.name, "before": self.before, "session": self.session, "now": self.now}


@dataclass(frozen=True, slots=True)
class RowConflict:
    """A row that cannot be reverted; `columns` is empty when the conflict is about the whole row."""

    schema: str
    table: str
    primary_key: Mapping[str, Any]
    columns: tuple[str, ...]
    reason: str
    values: tuple[ColumnValues, ...] = ()
    key: tuple[str, ...] = ()
    """The exact text of the key where the session left the row."""
    image: Mapping[str, str | None] | None = None
    """The row as it is, or as the session left it."""
    id: str | None = None
    """Names the conflict and the values that restoring the row would overwrite; None where it cannot be restored."""
    deletes: bool = False
    """Whether restoring the row deletes it."""

    def body(self) -> dict[str, Any]:
        """For msgspec to encode: numbers keep their text."""
        known = {value.name: value for value in self.values}
        return {
            "schema": self.schema,
            "table": self.table,
            "primaryKey": {name: _write_exactly(value) for name, value in self.primary_key.items()},
            "columns": [known.get(name, ColumnValues(name)).body() for name in self.columns],
            "reason": self.reason,
            "id": self.id,
        }


@dataclass(frozen=True, slots=True)
class TableCount:
    """How many rows of a table an undo inserts, changes and deletes."""

    table: str
    inserted: int
    changed: int
    deleted: int


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """A session that is undone, and how many rows would get values back that it wrote."""

    session_id: UUID
    rows: int

    def body(self) -> dict[str, Any]:
        return {"sessionId": str(self.session_id), "rows": self.rows}


BroughtBackColumns = Mapping[tuple[Name, tuple[str, ...]], Mapping[str, UUID]]
"""The undone session that wrote the earlier value, by table and key, then by column."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an undo would do (`reverted` and `skipped` are 0 then) or has done; counts are rows.

    `already_reverted` rows were as before when the undo read them, or an earlier undo reverted them. `is_incremental`:
    the undo sends one request after another, and a failure does not roll back the requests before it. `pending_writes`
    were uncommitted at the time of a preview and are not part of it. `notes` say what a preview could not find out.
    `overwritten_edits` are the conflicts that were settled by restoring the row over newer values.
    """

    planned: int
    reverted: int
    skipped: int
    conflicts: tuple[RowConflict, ...]
    irreversible: tuple[str, ...]
    undo_session_id: UUID | None = None
    tables: tuple[TableCount, ...] = ()
    is_incremental: bool = False
    already_reverted: int = 0
    preview_token: str | None = None
    pending_writes: int = 0
    notes: tuple[str, ...] = ()
    overwritten_edits: tuple[RowConflict, ...] = ()
    shown: tuple[TableSample, ...] = ()
    """Of a preview: the first rows of each table, for a page."""
    names: Mapping[tuple[Name, tuple[str, ...]], str] = field(default_factory=dict)
    """Of a preview: what people call rows, by table and key."""
    brought_back: tuple[BroughtBack, ...] = ()
    """Of a preview: undone sessions whose values the undo would bring back."""
    brought_back_columns: BroughtBackColumns = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        return {
            "planned": self.planned,
            "reverted": self.reverted,
            "skipped": self.skipped,
            "alreadyAsBefore": self.already_reverted,
            "irreversible": list(self.irreversible),
            "notes": list(self.notes),
            "bringsBack": [one.body() for one in self.brought_back],
            "undoSessionId": str(self.undo_session_id) if self.undo_session_id else None,
            "previewToken": self.preview_token,
            "conflicts": [conflict.body() for conflict in self.conflicts],
            "overwritten": [conflict.body() for conflict in self.overwritten_edits],
        }

    def with_notes(self, notes: Sequence[str]) -> "Receipt":
        return replace(self, irreversible=(*self.irreversible, *notes))


def count_brought_back(found: BroughtBackColumns) -> tuple[BroughtBack, ...]:
    """The undone sessions with the number of rows that would get values of theirs, the most first."""
    counts: dict[UUID, int] = {}
    for columns in found.values():
        for session_id in set(columns.values()):
            counts[session_id] = counts.get(session_id, 0) + 1
    return tuple(BroughtBack(*item) for item in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def read_primary_key(shown: bytes, columns: Sequence[str]) -> dict[str, Any]:
    """The key columns of a row from its JSON object; a number with a fraction is a Decimal."""
    row = json.loads(shown, parse_float=Decimal)
    return {column: row.get(column) for column in columns}


def show_value(column: Column | None, text: str | None) -> Any:
    """Converts PostgreSQL's text to a JSON value; where JSON has none, the text remains."""
    if text is None or column is None:
        return text
    if column.base_type in ("json", "jsonb"):
        return msgspec.Raw(text.encode())
    if column.base_type == "boolean":
        return text == "t"
    is_number = column.category == "N" and _NUMBER.fullmatch(text) is not None
    return msgspec.Raw(text.encode()) if is_number else text


def count_rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"


def _write_exactly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return msgspec.Raw(_write_number(value).encode())
    if isinstance(value, dict):
        return {name: _write_exactly(item) for name, item in value.items()}
    return [_write_exactly(item) for item in value] if isinstance(value, list) else value


def write_as_text(value: Any) -> Any:
    """Numbers with a fraction as text, also within JSON values, so that storing them loses no digit."""
    if isinstance(value, Decimal):
        return _write_number(value)
    if isinstance(value, dict):
        return {name: write_as_text(item) for name, item in value.items()}
    return [write_as_text(item) for item in value] if isinstance(value, list) else value


def _write_number(number: Decimal) -> str:
    """Writes all digits, as a numeric does; very large and very small numbers were floats and get an exponent."""
    return format(number, "f") if abs(number.adjusted()) < _MOST_DIGITS else str(number)
