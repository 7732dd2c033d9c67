"""Checks that the tables of a session are still as in the schema snapshot, and no migration has changed them.

A plan that was made with an outdated snapshot may miss a foreign key, and so rows that a delete would cascade to.
"""

from collections.abc import Collection

from basewarden.gateway import SnapshotStale
from pgrest import (
    DbConnection,
    Name,
    Schema,
    Statement,
    array_literal,
    is_reach_current,
    is_reach_same,
    quote_name,
    reach_check,
)

_FIND_ANY = "SELECT count(*) FROM unnest($1::text[]) AS asked(name) WHERE to_regclass(asked.name) IS NOT NULL"


async def check_schema_current(connection: DbConnection, schema: Schema, names: Collection[Name]) -> None:
    """Raises SnapshotStale. Call it under locks that prevent a later change of the tables."""
    known = sorted(name for name in names if name in schema.tables)
    gone = [quote_name(name) for name in sorted(names) if name not in schema.tables]
    checks = [reach_check(schema, name) for name in known]
    find = Statement(_FIND_ANY, (array_literal(gone).encode(),))
    *answers, found = await connection.run([*checks, find])
    if found.rows[0][0] != b"0":
        raise SnapshotStale
    for name, rows in zip(known, answers, strict=True):
        if not is_reach_current(schema, name, rows) and not await is_reach_same(connection, schema, name):
            raise SnapshotStale
