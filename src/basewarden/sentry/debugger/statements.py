"""The SQL of a trial. Names come from the catalog and are quoted; what a person typed is always a parameter."""

from collections.abc import Sequence
from typing import Final

from basewarden.sentry.debugger.facts import DebuggedTable
from pgrest import Statement, array_literal, quote_ident, quote_literal

MOST_COUNTED: Final = 10_000
Place = tuple[str, str]
"""Of a row: the table that holds it, and its ctid there."""
_SAMPLE: Final = "pg_catalog.current_setting('basewarden.sample')::pg_catalog.json"
_IS_SAMPLED: Final = (
    "changed.ctid OPERATOR(pg_catalog.=) ANY(${1}::pg_catalog.tid[]) AND EXISTS"
    " (SELECT FROM ROWS FROM (pg_catalog.unnest(${0}::pg_catalog.oid[]), pg_catalog.unnest(${1}::pg_catalog.tid[]))"
    " AS p(t, c) WHERE p.t OPERATOR(pg_catalog.=) changed.tableoid AND p.c OPERATOR(pg_catalog.=) changed.ctid)"
)
"""By its place; numbers are those of the parameters. The ctid alone is not enough where a table has partitions."""


def count_rows(table: DebuggedTable) -> Statement:
    return Statement(f"SELECT pg_catalog.count(*) FROM (SELECT FROM {table.sql_name} LIMIT {MOST_COUNTED}) AS seen")


def count_places(table: DebuggedTable, places: Sequence[Place]) -> Statement:
    sql = f"SELECT pg_catalog.count(*) FROM {table.sql_name} AS changed WHERE {_IS_SAMPLED.format(1, 2)}"
    return Statement(sql, _bind(places))


def choose_places(table: DebuggedTable, most: int) -> Statement:
    place = "c.tableoid::pg_catalog.text, c.ctid::pg_catalog.text"
    return Statement(f"SELECT {place} FROM {table.sql_name} AS c LIMIT {most}")


def keep_sample(table: DebuggedTable, places: Sequence[Place]) -> Statement:
    """Copies the rows into a setting of the transaction; answers their number, and none of them."""
    rows = (
        f"SELECT pg_catalog.to_json(changed) AS one FROM {table.sql_name} AS changed WHERE {_IS_SAMPLED.format(1, 2)}"
    )
    return Statement(
        "SELECT pg_catalog.json_array_length(pg_catalog.set_config('basewarden.sample',"
        f" COALESCE((SELECT pg_catalog.json_agg(s.one) FROM ({rows}) AS s)::pg_catalog.text, '[]'), true)"
        "::pg_catalog.json)",
        _bind(places),
    )


def insert_row(table: DebuggedTable, columns: Sequence[str], row: bytes) -> Statement:
    if not columns:
        return Statement(f"INSERT INTO {table.sql_name} DEFAULT VALUES")
    names = ", ".join(map(quote_ident, columns))
    return Statement(f"INSERT INTO {table.sql_name} ({names}) SELECT {names} FROM {_typed(table)}", (row,))


def update_rows(table: DebuggedTable, columns: Sequence[str], row: bytes, places: Sequence[Place] | None) -> Statement:
    """Without `places` all rows, which must be few then."""
    sets = ", ".join(f"{quote_ident(one)} = typed.{quote_ident(one)}" for one in columns)
    where = f" WHERE {_IS_SAMPLED.format(2, 3)}" if places is not None else ""
    sql = f"UPDATE {table.sql_name} AS changed SET {sets} FROM {_typed(table)} AS typed{where}"
    return Statement(sql, (row, *_bind(places)))


def touch_rows(table: DebuggedTable, column: str, places: Sequence[Place]) -> Statement:
    """Gives a column the value that it has."""
    name = quote_ident(column)
    sql = f"UPDATE {table.sql_name} AS changed SET {name} = changed.{name} WHERE {_IS_SAMPLED.format(1, 2)}"
    return Statement(sql, _bind(places))


def set_at(table: DebuggedTable, sets: str, values: Sequence[bytes], places: Sequence[Place]) -> Statement:
    """`sets` are assignments of quoted names; their parameters are `values`."""
    where = _IS_SAMPLED.format(len(values) + 1, len(values) + 2)
    return Statement(f"UPDATE {table.sql_name} AS changed SET {sets} WHERE {where}", (*values, *_bind(places)))


def delete_rows(table: DebuggedTable, places: Sequence[Place] | None) -> Statement:
    where = f" WHERE {_IS_SAMPLED.format(1, 2)}" if places is not None else ""
    return Statement(f"DELETE FROM {table.sql_name} AS changed{where}", _bind(places))


USE_OWN_PATH: Final = Statement("SELECT pg_catalog.set_config('search_path', $1, true)", (b"pg_catalog, pg_temp",))
"""A policy's text was read under this path, so its operators are found again, and none of the project's instead."""


def ask_expression(table: DebuggedTable, expression: str, rows: str, values: Sequence[bytes] = ()) -> Statement:
    """Answers of how many rows it is true for how many. An expression names its table by the table's own name."""
    counts = f"pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE ({expression}))"
    return Statement(f"SELECT {counts} FROM {rows} AS {quote_ident(table.name)}", tuple(values))


def sampled_rows(table: DebuggedTable) -> str:
    return f"pg_catalog.json_populate_recordset(NULL::{table.sql_name}, {_SAMPLE})"


def changed_rows(table: DebuggedTable) -> str:
    """The rows with what was typed, the first parameter, in place of what they have."""
    changed = (
        "SELECT pg_catalog.json_agg(r::pg_catalog.jsonb || $1::pg_catalog.jsonb)"
        f" FROM pg_catalog.json_array_elements({_SAMPLE}) AS r"
    )
    return f"pg_catalog.json_populate_recordset(NULL::{table.sql_name}, ({changed}))"


def new_row(table: DebuggedTable, columns: Sequence[str]) -> str:
    """What was typed, over the defaults of other columns, as far as they draw no number from a sequence."""
    filled = [
        (one.name, one.default)
        for one in table.columns
        if one.default and one.name not in columns and "nextval(" not in one.default
    ]
    pairs = ", ".join(f"{quote_literal(name)}, ({default})" for name, default in filled)
    row = f"(pg_catalog.jsonb_build_object({pairs}) || $1::pg_catalog.jsonb)"
    return f"pg_catalog.jsonb_populate_record(NULL::{table.sql_name}, {row})"


def _typed(table: DebuggedTable) -> str:
    return f"pg_catalog.json_populate_record(NULL::{table.sql_name}, $1::pg_catalog.json)"


def _bind(places: Sequence[Place] | None) -> tuple[bytes, ...]:
    if places is None:
        return ()
    return tuple(array_literal(place[number] for place in places).encode() for number in (0, 1))
