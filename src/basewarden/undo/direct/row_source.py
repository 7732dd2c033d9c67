"""Rows of exact text as a relation: how they come into a statement."""

from collections.abc import Iterable, Sequence

from basewarden.undo.planning.row_reader import Exact
from pgrest import Builder, Table, quote_ident, unnest_sql

WANTED = "bw_wanted"


def unnest_rows(builder: Builder, rows: Sequence[Exact], names: Sequence[str]) -> str:
    """Rows of text as a relation: one array parameter a column, and `ord` counting from 1."""
    arrays = [
        f"{builder.param(text_array(row[index] for row in rows))}::pg_catalog.text[]" for index in range(len(names))
    ]
    return f"{unnest_sql(arrays)} WITH ORDINALITY AS {WANTED}({', '.join(names)}, ord)"


def text_array(values: Iterable[str | None]) -> str:
    """An array literal: every element quoted, so that only a true NULL is one."""
    return "{" + ",".join("NULL" if value is None else f'"{_escape(value)}"' for value in values) + "}"


def quote_table(table: Table) -> str:
    return f"{quote_ident(table.schema)}.{quote_ident(table.name)}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
