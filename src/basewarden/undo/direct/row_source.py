"""Passes rows of exact text to a statement as a relation."""

from collections.abc import Iterable, Sequence

from basewarden.undo.planning.row_reader import Exact
from pgrest import Builder, Table, quote_ident, unnest_sql

WANTED = "bw_wanted"


def unnest_rows(builder: Builder, rows: Sequence[Exact], names: Sequence[str]) -> str:
    """A relation of rows of text: one array parameter for each column, and `ord` counting from 1."""
    arrays = [
        f"{builder.param(text_array(row[index] for row in rows))}::pg_catalog.text[]" for index in range(len(names))
    ]
    return f"{unnest_sql(arrays)} WITH ORDINALITY AS {WANTED}({', '.join(names)}, ord)"


def text_array(values: Iterable[str | None]) -> str:
    """An array literal whose elements are all quoted, so that only an unquoted NULL is NULL."""
    return "{" + ",".join("NULL" if value is None else f'"{_escape(value)}"' for value in values) + "}"


def quote_table(table: Table) -> str:
    return f"{quote_ident(table.schema)}.{quote_ident(table.name)}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
