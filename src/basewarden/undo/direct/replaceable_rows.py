"""Finds rows that may be deleted and inserted again in one statement without an effect on other rows."""

from collections.abc import Iterable, Sequence

from basewarden.gateway.direct import ROW_ALIAS
from basewarden.undo.direct.row_source import WANTED, unnest_rows
from basewarden.undo.direct.statement_order import PlaceholderState
from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.planning.row_reader import Exact
from pgrest import Builder, DbConnection, ForeignKey, Table, quote_column, quote_name, same_sql


async def find_replaceable(
    connection: DbConnection, rows: Sequence[RowPlan], numbers: Iterable[int], placeholders: PlaceholderState
) -> set[int]:
    """The rows that no row refers to by a foreign key with an ON DELETE action."""
    by_table: dict[int, list[int]] = {}
    for number in numbers:
        by_table.setdefault(rows[number].table.oid, []).append(number)
    found: set[int] = set()
    for group in by_table.values():
        referred: set[int] = set()
        for key in rows[group[0]].table.foreign_keys_in:
            if key.on_delete != "NO ACTION" and key.is_enforced:
                referred |= await _find_referred(connection, rows, group, key, placeholders)
        found |= set(group) - referred
    return found


async def _find_referred(
    connection: DbConnection,
    rows: Sequence[RowPlan],
    numbers: Sequence[int],
    key: ForeignKey,
    placeholders: PlaceholderState,
) -> set[int]:
    """The rows that others refer to now, or will refer to after this undo."""
    values = [placeholders.read(rows, number, key.ref_columns) for number in numbers]
    coming = {
        tuple(row.target[name] for name in key.columns)
        for row in rows
        if row.target is not None and row.table.qualified == key.table
    }
    planned = {number for number, value in zip(numbers, values, strict=True) if value in coming}
    return planned | {numbers[at] for at in await find_children(connection, rows[numbers[0]].table, key, values)}


async def find_children(connection: DbConnection, table: Table, key: ForeignKey, values: Sequence[Exact]) -> list[int]:
    """The positions in `values` of those that rows refer to."""
    builder = Builder()
    names = [f"c{number}" for number in range(len(key.columns))]
    source = unnest_rows(builder, values, names)
    match = " AND ".join(
        same_sql(table, ref, f"{WANTED}.{name}::{table.columns[ref].type}", quote_column(ROW_ALIAS, column))
        for column, ref, name in zip(key.columns, key.ref_columns, names, strict=True)
    )
    sql = f"SELECT DISTINCT {WANTED}.ord FROM {quote_name(key.table)} AS {ROW_ALIAS} JOIN {source} ON {match}"
    (found,) = await connection.run([builder.statement(sql)])
    return [int(row[0] or 0) - 1 for row in found.rows]
