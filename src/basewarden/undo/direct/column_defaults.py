"""Finds the value that rows got in a column when it was added to their table."""

import re
from collections.abc import Sequence

from pgrest import Builder, DbConnection, Statement, Table, array_literal

# Adding a column with a default rewrites no rows: pg_attribute has the value of the rows that existed then.
_READ_MISSING = """
    SELECT attname, (attmissingval::text::text[])[1] FROM pg_attribute
    WHERE attrelid = $1::text::oid AND attname = ANY($2::text[]) AND atthasmissing
"""
# Only literals are evaluated: a function may return another value each time, or have side effects.
_CONSTANT = re.compile(r"""('([^']|'')*'|-?\d+(\.\d+)?|true|false|NULL)(::[\w ."()\[\],]+)*""")


async def read_defaults(connection: DbConnection, table: Table, columns: Sequence[str]) -> dict[str, str | None]:
    """NULL for a column without a default; a column whose value is not known is left out."""
    known: dict[str, str | None] = {name: None for name in columns if table.columns[name].default is None}
    wanted = [name for name in columns if name not in known and not table.columns[name].identity]
    if not wanted:
        return known
    parameters = (str(table.oid).encode(), array_literal(wanted).encode())
    (missing,) = await connection.run([Statement(_READ_MISSING, parameters)])
    known |= {(name or b"").decode(): _decode(value) for name, value in missing.rows}
    for name in wanted:
        expression = table.columns[name].default or ""
        if name not in known and _CONSTANT.fullmatch(expression):
            known[name] = await _evaluate(connection, f"({expression})::{table.columns[name].type}")
    return known


async def _evaluate(connection: DbConnection, expression: str) -> str | None:
    (rows,) = await connection.run([Builder().statement(f"SELECT ({expression})::text")])
    return _decode(rows.rows[0][0])


def _decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode()
