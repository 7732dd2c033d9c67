"""Whether the capture saw the tables as they are: a migration may have come between the snapshot and the write.

Asked after the write, when its locks keep every change away from the tables that it touched.
"""

from basewarden.gateway.capture.write import WriteContext
from basewarden.pgrest import FINGERPRINT, Name, Rows, Schema, Table, load_schema


class SnapshotStale(Exception):
    """The write was captured by an outdated picture of its tables: roll back, reload, and do it again."""


CHECK = FINGERPRINT


async def check_snapshot(context: WriteContext, table: Table) -> None:
    (rows,) = await context.connection.run([CHECK])
    await require_current(context, table, rows)


async def require_current(context: WriteContext, table: Table, checked: Rows) -> None:
    """`checked` is what CHECK answered. Changes elsewhere (somebody's temporary table) do not matter."""
    if (checked.value(0, 0) or b"").decode() == context.schema.fingerprint:
        return
    fresh = await load_schema(context.connection, context.schema.exposed, ())
    if _find_reach(fresh, table.qualified) != _find_reach(context.schema, table.qualified):
        raise SnapshotStale


def _find_reach(schema: Schema, name: Name) -> dict[Name, Table | None]:
    """The table and all that foreign keys lead to from it."""
    reach: dict[Name, Table | None] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in reach:
            continue
        table = reach[current] = schema.tables.get(current)
        if table is not None:
            waiting += [key.table for key in table.foreign_keys_in]
    return reach
