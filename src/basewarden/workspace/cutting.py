"""How much of a long value a page shows. A row may hold gigabytes; a page must not."""

from collections.abc import Collection
from dataclasses import replace

from basewarden.workspace.desk import Row
from basewarden.workspace.references import Reference
from basewarden.workspace.related import referred_columns
from pgrest import Table, TextLimit

PAGE_CHARACTERS = 2_000_000
"""Of values, on one page, whatever the table holds."""
LONGEST_IN_GRID = 500
LONGEST_IN_ROW = 20_000
LONGEST_IN_EDITOR = 200_000
_SHORTEST = 60


def limit_grid(table: Table, references: Collection[Reference], cells: int) -> TextLimit:
    return _make_limit(table, references, cells, LONGEST_IN_GRID)


def limit_row(table: Table, references: Collection[Reference]) -> TextLimit:
    """What other tables refer to stays whole too: it is looked for there."""
    limit = _make_limit(table, references, len(table.columns), LONGEST_IN_ROW)
    return replace(limit, whole=limit.whole | frozenset(referred_columns(table)))


def cut(value: str | None, column: str, limit: TextLimit) -> tuple[str | None, bool]:
    """What is shown of a value, and whether it goes on. One more than shown was asked for, which tells."""
    shown = limit.characters - 1
    if value is None or column in limit.whole or len(value) <= shown:
        return value, False
    return value[:shown], True


def list_cut(row: Row, columns: Collection[str], limit: TextLimit) -> frozenset[str]:
    """The columns of which the row does not hold all."""
    return frozenset(name for name in columns if cut(row[name], name, limit)[1])


def _make_limit(table: Table, references: Collection[Reference], cells: int, longest: int) -> TextLimit:
    """Keys and what refers to keys stay whole: addresses are made of them."""
    keys = frozenset([*table.key, *(name for reference in references for name in reference.key.columns)])
    shown = max(_SHORTEST, min(longest, PAGE_CHARACTERS // max(cells, 1)))
    return TextLimit(shown + 1, keys)
