"""Writes exact texts as a JSON body, so that each column's own input function reads them."""

from collections.abc import Iterable, Sequence

import msgspec

from basewarden.undo.planning.plan import RowPlan
from pgrest import Table

_JSON_TYPES = ("json", "jsonb")


def write_rows(rows: Iterable[RowPlan], columns: Sequence[str]) -> bytes:
    return msgspec.json.encode([_write_row(row, columns) for row in rows])


def write_one(row: RowPlan, columns: Sequence[str]) -> bytes:
    return msgspec.json.encode(_write_row(row, columns))


def list_inexpressible(row: RowPlan) -> tuple[str, ...]:
    """Columns whose value no JSON body can express: a JSON null becomes NULL, and whitespace around JSON is lost."""
    target = row.target or {}
    return tuple(
        name
        for name in row.written
        if (text := target[name]) is not None
        and row.table.columns[name].type in _JSON_TYPES
        and (text == "null" or text != text.strip())
    )


def _write_row(row: RowPlan, columns: Sequence[str]) -> dict[str, object]:
    target = row.target or {}
    return {name: _write_value(row.table, name, target[name]) for name in columns}


def _write_value(table: Table, name: str, text: str | None) -> object:
    """A string, which the column's type reads as it wrote it; a JSON column gets the JSON itself."""
    if text is None or table.columns[name].type not in _JSON_TYPES:
        return text
    return msgspec.Raw(text.encode())
