"""Limits how much of a long value a page shows. A row may hold gigabytes; a page must not."""

from collections.abc import Collection
from dataclasses import replace

from basewarden.workspace.references import Reference
from basewarden.workspace.related import referenced_columns
from basewarden.workspace.table_client import Row
from pgrest import Table, TextLimit

PAGE_CHARACTERS = 2_000_000
"""The limit for all values on one page."""
MAX_IN_GRID = 500
MAX_IN_ROW = 20_000
MAX_IN_EDITOR = 200_000
_MIN_LENGTH = 60


def limit_grid(table: Table, references: Collection[Reference], cells: int) -> TextLimit:
    return _make_limit(table, references, cells, MAX_IN_GRID)


def limit_row(table: Table, references: Collection[Reference]) -> TextLimit:
    """Limits values, except those that other tables refer to: they are used to find the referencing rows."""
    limit = _make_limit(table, references, len(table.columns), MAX_IN_ROW)
    return replace(limit, whole=limit.whole | frozenset(referenced_columns(table)))


def limit_copy(table: Table, cells: int) -> TextLimit:
    return _make_limit(table, (), cells, MAX_IN_ROW)


def truncate(value: str | None, column: str, limit: TextLimit) -> tuple[str | None, bool]:
    """Returns the shown part of a value, and whether it was truncated: the limit is one character more."""
    shown = limit.characters - 1
    if value is None or column in limit.whole or len(value) <= shown:
        return value, False
    return value[:shown], True


def list_truncated(row: Row, columns: Collection[str], limit: TextLimit) -> frozenset[str]:
    """Returns the columns whose values are truncated."""
    return frozenset(name for name in columns if truncate(row[name], name, limit)[1])


def _make_limit(table: Table, references: Collection[Reference], cells: int, longest: int) -> TextLimit:
    """Limits values, except keys and foreign keys, which are part of URLs."""
    keys = frozenset([*table.key, *(name for reference in references for name in reference.key.columns)])
    shown = max(_MIN_LENGTH, min(longest, PAGE_CHARACTERS // max(cells, 1)))
    return TextLimit(shown + 1, keys)
