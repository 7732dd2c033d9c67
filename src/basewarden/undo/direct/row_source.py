"""Passes rows of exact text to a statement as a relation."""

from collections.abc import Iterable, Mapping, Sequence

from basewarden.gateway.direct import ROW_ALIAS
from basewarden.undo.planning.row_reader import Exact
from pgrest import Builder, Table, quote_ident, unnest_sql

WANTED = "bw_wanted"


def unnest_rows(builder: Builder, rows: Sequence[Exact], names: Sequence[str]) -> str:
    """A relation of rows of text: one array parameter for each column, and `ord` counting from 1."""
    arrays = [
        f"{builder.param(text_array(row[index] for row in rows))}::pg_catalog.text[]" for index in range(len(names))
    ]
    return f"{unnest_sql(arrays)} WITH ORDINALITY AS {WANTED}({', '.join(names)}, ord)"


def unnest_typed(
    builder: Builder, table: Table, rows: Sequence[Mapping[str, str | None]], columns: Sequence[str]
) -> str:
    """A relation with these columns of the table, to which its own expressions can be applied, and `bw_ord` from 1."""
    names = [f"c{number}" for number in range(len(columns))]
    source = unnest_rows(builder, [tuple(row.get(column) for column in columns) for row in rows], names)
    typed = "".join(
        f", {WANTED}.{name}::{table.columns[column].type} AS {quote_ident(column)}"
        for column, name in zip(columns, names, strict=True)
    )
    return f"(SELECT {WANTED}.ord AS bw_ord{typed} FROM {source}) AS {ROW_ALIAS}"


def text_array(values: Iterable[str | None]) -> str:
    """An array literal whose elements are all quoted, so that only an unquoted NULL is NULL."""
    return "{" + ",".join("NULL" if value is None else f'"{_escape(value)}"' for value in values) + "}"


def quote_table(table: Table) -> str:
    return f"{quote_ident(table.schema)}.{quote_ident(table.name)}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
