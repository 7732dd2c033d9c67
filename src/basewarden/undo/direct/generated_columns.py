"""Computes what generated columns will hold in rows that get some of their earlier values back.

A row that is as the session left it gets its earlier generated values, too. Where others have changed it since, only
the database knows what the restored columns make of them, together with those that stay; and other rows may refer to
such a value, or have it already.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from basewarden.undo.direct.row_source import unnest_typed
from basewarden.undo.planning.plan import RowPlan
from pgrest import Builder, DatabaseError, DbConnection, Statement, Table

ROWS_AT_ONCE = 4_000
_SAVE = Statement("SAVEPOINT bw_generated")
_RELEASE = Statement("RELEASE SAVEPOINT bw_generated")
_ROLL_BACK = Statement("ROLLBACK TO SAVEPOINT bw_generated")
_FIND_EXPRESSIONS = """
SELECT a.attrelid::int8, a.attname, pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attgenerated <> '' AND a.attrelid = ANY ($1::text::oid[])
"""
_Expressions = Mapping[str, str]


async def compute_generated(connection: DbConnection, rows: Sequence[RowPlan]) -> Sequence[RowPlan]:
    """Where the expressions fail, nothing is known: of one row the database rejects it when it is written.

    They run under our own search path, under which they were spelled too, so that no name in them is taken for another.
    A function of the project that needs another path fails.
    """
    wanted = await asyncio.to_thread(_list_wanted, rows)
    if not wanted:
        return rows
    tables = {oid: rows[numbers[0]].table for oid, numbers in wanted.items()}
    expressions = await _read_expressions(connection, tables)
    computed = list(rows)
    for oid, numbers in wanted.items():
        for start in range(0, len(numbers), ROWS_AT_ONCE):
            part = numbers[start : start + ROWS_AT_ONCE]
            found = await _evaluate(connection, tables[oid], expressions.get(oid, {}), [rows[one] for one in part])
            for number, row in zip(part, found, strict=True):
                computed[number] = row
    return computed


def _list_wanted(rows: Sequence[RowPlan]) -> dict[int, list[int]]:
    """The numbers of the rows with generated columns, by table, that will not be exactly as before the session."""
    is_wanted = {row.table.oid: bool(row.table.generated) for row in {row.table.oid: row for row in rows}.values()}
    wanted: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        if is_wanted[row.table.oid] and row.action == "update" and row.target != row.change.before:
            wanted.setdefault(row.table.oid, []).append(number)
    return wanted


async def _read_expressions(connection: DbConnection, oids: Iterable[int]) -> dict[int, dict[str, str]]:
    listed = "{" + ",".join(map(str, sorted(oids))) + "}"
    (found,) = await connection.run([Statement(_FIND_EXPRESSIONS, (listed.encode(),))])
    expressions: dict[int, dict[str, str]] = {}
    for oid, name, expression in found.rows:
        expressions.setdefault(int(oid or 0), {})[(name or b"").decode()] = (expression or b"").decode()
    return expressions


async def _evaluate(
    connection: DbConnection, table: Table, expressions: _Expressions, rows: Sequence[RowPlan]
) -> Sequence[RowPlan]:
    names = [name for name in expressions if name in table.generated]
    if not names:
        return rows
    builder = Builder()
    plain = [name for name in table.columns if name not in table.generated]
    source = unnest_typed(builder, table, [row.target or {} for row in rows], plain)
    values = ", ".join(f"({expressions[name]})" for name in names)
    statement = builder.statement(f"SELECT bw_ord, {values} FROM {source} ORDER BY bw_ord")
    await connection.run([_SAVE])
    try:
        (found,) = await connection.run([statement])
    except DatabaseError:
        await connection.run([_ROLL_BACK, _RELEASE])
        return [replace(row, uncertain=(*row.uncertain, *names)) for row in rows]
    await connection.run([_RELEASE])
    return [_complete(row, names, values) for row, (_, *values) in zip(rows, found.rows, strict=True)]


def _complete(row: RowPlan, names: Sequence[str], values: Sequence[bytes | None]) -> RowPlan:
    known = {name: None if value is None else value.decode() for name, value in zip(names, values, strict=True)}
    uncertain = tuple(name for name in row.uncertain if name not in known)
    return replace(row, target={**(row.target or {}), **known}, uncertain=uncertain)
