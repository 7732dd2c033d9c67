"""The rows that an undo restored over newer values, with both values from the journal."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from basewarden.db import ReadSession
from basewarden.journal import JournalMutation, encode_key, list_session_rows
from basewarden.undo.stored_receipt import StoredConflict, StoredReceipt

_MOST_CHANGES = 3
"""By which an undo over an API may write one row, when triggers set its columns again."""


@dataclass(frozen=True, slots=True)
class OverwrittenRow:
    """`values` are column, newer value and restored value in PostgreSQL's text, long ones shortened."""

    conflict: StoredConflict
    values: tuple[tuple[str, str | None, str | None], ...]
    mutation: JournalMutation

    def body(self) -> dict[str, Any]:
        return {
            "schema": self.conflict.schema,
            "table": self.conflict.table,
            "primaryKey": self.conflict.primary_key,
            "columns": [{"name": name, "newer": newer, "restored": restored} for name, newer, restored in self.values],
        }


async def list_overwritten(
    db: ReadSession, undo_id: UUID, receipt: StoredReceipt, limit: int | None = None
) -> list[OverwrittenRow]:
    """Lists only rows whose change by the undo is in the journal."""
    by_table: dict[tuple[str, str], dict[str, StoredConflict]] = {}
    for conflict in receipt.overwritten[:limit]:
        by_table.setdefault((conflict.schema, conflict.table), {})[encode_key(list_key(conflict))] = conflict
    found = []
    for table, conflicts in by_table.items():
        most = _MOST_CHANGES * len(conflicts)
        rows = await list_session_rows(db, undo_id, limit=most, table=table, row_keys=list(conflicts))
        found += [_describe(conflicts.pop(row.row_key), row) for row in rows if row.row_key in conflicts]
    return found


def list_key(conflict: StoredConflict) -> tuple[str, ...]:
    """In PostgreSQL's text."""
    return conflict.key or tuple(str(value) for value in conflict.primary_key.values())


def _describe(conflict: StoredConflict, row: JournalMutation) -> OverwrittenRow:
    before, after = row.before_exact or {}, row.after_exact or {}
    names = [column if isinstance(column, str) else column.name for column in conflict.columns]
    return OverwrittenRow(conflict, tuple((name, before.get(name), after.get(name)) for name in names), row)
