"""Exact texts as a body of JSON, so that each column's own input function reads them."""

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
    """Columns whose value no body can give: a JSON null comes in as NULL, and space around JSON is lost."""
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
    """As a string: the type reads it as it wrote it. JSON alone is no string of itself."""
    if text is None or table.columns[name].type not in _JSON_TYPES:
        return text
    return msgspec.Raw(text.encode())
