"""Whether the capture saw the tables as they are: a migration may have come between the snapshot and the write.

Asked after the write, when its locks keep every change away from the tables that it touched.
"""

from basewarden.gateway.direct.context import WriteContext
from basewarden.gateway.recording.schema_retry import SnapshotStale
from pgrest import Table, is_reach_current, is_reach_same, is_table_current, reach_check


async def check_snapshot(context: WriteContext, table: Table) -> None:
    """What only looks like a change (a GRANT, a partition of a trigger's) is none."""
    (rows,) = await context.connection.run([reach_check(context.schema, table.qualified)])
    if not is_reach_current(context.schema, table.qualified, rows):
        await _compare(context, table)


async def require_current(context: WriteContext, table: Table, oid: bytes | None, stamp: bytes | None) -> None:
    """The same for a write that reaches no other table; `oid` and `stamp` are the first columns of `table_check`."""
    if not is_table_current(context.schema, table.qualified, oid, stamp):
        await _compare(context, table)


async def _compare(context: WriteContext, table: Table) -> None:
    if not await is_reach_same(context.connection, context.schema, table.qualified):
        raise SnapshotStale
