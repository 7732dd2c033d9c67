"""Finds the rows that the database rejected, since its error names a constraint or a column but not the row.

A check is evaluated for all rows in one query, and a NULL shows in the plan. Other causes are found by trying halves.
"""

from collections.abc import Sequence

from basewarden.undo.direct.row_source import unnest_typed
from basewarden.undo.planning.plan import RowPlan
from pgrest import Builder, DatabaseError, DbConnection, Statement, Table

_CHECK, _NOT_NULL = "23514", "23502"
_FIND_CHECK = """
SELECT k.conrelid::int8, pg_get_expr(k.conbin, k.conrelid) FROM pg_constraint k
WHERE k.contype = 'c' AND k.conname = $1 AND k.conrelid = ANY ($2::text::oid[])
"""


async def find_rejected_rows(connection: DbConnection, rows: Sequence[RowPlan], error: DatabaseError) -> frozenset[int]:
    """The numbers of all rows that violate the constraint of `error`; empty where it does not show them."""
    fields = error.fields
    if error.sqlstate == _NOT_NULL and fields.column is not None:
        lacking = (number for number, row in enumerate(rows) if _lacks(row, fields.schema, fields.table, fields.column))
        return frozenset(lacking)
    if error.sqlstate == _CHECK and fields.constraint is not None:
        return await _find_failing_check(connection, rows, fields.constraint)
    return frozenset()


def _lacks(row: RowPlan, schema: str | None, table: str | None, column: str) -> bool:
    is_there = row.target is not None and (row.table.schema, row.table.name) == (schema, table)
    return is_there and column in row.written and (row.target or {})[column] is None


async def _find_failing_check(connection: DbConnection, rows: Sequence[RowPlan], name: str) -> frozenset[int]:
    """Checks of several tables may have the same `name`."""
    tables = {row.table.oid: row.table for row in rows}
    oids = "{" + ",".join(map(str, sorted(tables))) + "}"
    (checks,) = await connection.run([Statement(_FIND_CHECK, (name.encode(), oids.encode()))])
    found: set[int] = set()
    for oid, condition in checks.rows:
        table = tables[int(oid or 0)]
        numbers = [number for number, row in enumerate(rows) if row.table.oid == table.oid and row.target is not None]
        statement = _ask_check(table, [rows[number] for number in numbers], (condition or b"").decode())
        (failing,) = await connection.run([statement])
        found.update(numbers[int(row[0] or 0) - 1] for row in failing.rows)
    return frozenset(found)


def _ask_check(table: Table, rows: Sequence[RowPlan], condition: str) -> Statement:
    builder = Builder()
    candidates = unnest_typed(builder, table, [row.target or {} for row in rows], list(table.columns))
    return builder.statement(f"SELECT bw_ord FROM {candidates} WHERE NOT ({condition})")
