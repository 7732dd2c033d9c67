"""Whether the tables of a session are still as the schema snapshot has them: a migration may have come since.

A plan that was made on an outdated snapshot may not know of a foreign key, and so of rows that a delete takes along.
"""

from collections.abc import Collection

from basewarden.gateway.direct.capture import SnapshotStale
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
    """Raises SnapshotStale. To be asked under the locks that keep a change away."""
    known = sorted(name for name in names if name in schema.tables)
    gone = [quote_name(name) for name in sorted(names) if name not in schema.tables]
    checks = [reach_check(schema, name) for name in known]
    find = Statement(_FIND_ANY, (array_literal(gone).encode(),))
    *told, found = await connection.run([*checks, find])
    if found.rows[0][0] != b"0":
        raise SnapshotStale
    for name, rows in zip(known, told, strict=True):
        if not is_reach_current(schema, name, rows) and not await is_reach_same(connection, schema, name):
            raise SnapshotStale
