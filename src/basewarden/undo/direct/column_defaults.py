"""What a row holds in a column that its table got only later."""

import re
from collections.abc import Sequence

from pgrest import Builder, DbConnection, Statement, Table, array_literal

# A column that is added with a default costs no rewrite: what older rows hold in it is kept beside the column.
_READ_MISSING = """
    SELECT attname, (attmissingval::text::text[])[1] FROM pg_attribute
    WHERE attrelid = $1::text::oid AND attname = ANY($2::text[]) AND atthasmissing
"""
# What may be evaluated: a literal. A function may give another value each time, or do something.
_CONSTANT = re.compile(r"""('([^']|'')*'|-?\d+(\.\d+)?|true|false|NULL)(::[\w ."()\[\],]+)*""")


async def read_defaults(connection: DbConnection, table: Table, columns: Sequence[str]) -> dict[str, str | None]:
    """Without a default it is NULL; a column whose value is not known is left out."""
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
