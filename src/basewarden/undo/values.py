"""What an undo says about itself: conflicts and the receipt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import UUID

import msgspec

OnConflict = Literal["refuse", "skip"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A row that cannot go back as things are; `columns` is empty when it is about the whole row."""

    schema: str
    table: str
    primary_key: Mapping[str, Any]
    columns: tuple[str, ...]
    reason: str

    def body(self) -> dict[str, Any]:
        return {
            "schema": self.schema,
            "table": self.table,
            "primaryKey": dict(self.primary_key),
            "columns": list(self.columns),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class TableCount:
    """How many rows of a table are put back, given their values again, or removed."""

    table: str
    inserted: int
    changed: int
    deleted: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an undo would do (`reverted` and `skipped` are 0 then) or has done; counts are rows.

    `by_steps`: it goes request by request, and what is done stays done. `notes` say what a preview could not find out.
    """

    planned: int
    reverted: int
    skipped: int
    conflicts: tuple[Conflict, ...]
    irreversible: tuple[str, ...]
    undo_session_id: UUID | None = None
    tables: tuple[TableCount, ...] = ()
    by_steps: bool = False
    notes: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        return {
            "planned": self.planned,
            "reverted": self.reverted,
            "skipped": self.skipped,
            "conflicts": [conflict.body() for conflict in self.conflicts],
            "irreversible": list(self.irreversible),
            "notes": list(self.notes),
            "undoSessionId": str(self.undo_session_id) if self.undo_session_id else None,
        }

    def with_notes(self, notes: Sequence[str]) -> "Receipt":
        return replace(self, irreversible=(*self.irreversible, *notes))


def read_primary_key(shown: bytes, columns: Sequence[str]) -> dict[str, Any]:
    """The key's columns of a row as its JSON object shows them."""
    row = msgspec.json.decode(shown, type=dict[str, Any])
    return {column: row.get(column) for column in columns}


def count_rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
