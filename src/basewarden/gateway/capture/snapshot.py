"""Whether the capture saw the tables as they are: a migration may have come between the snapshot and the write.

Asked after the write, when its locks keep every change away from the tables that it touched.
"""

from basewarden.gateway.capture.write import WriteContext
from basewarden.pgrest import Rows, Statement, Table, is_reach_current, is_reach_same, reach_check


class SnapshotStale(Exception):
    """The write was captured by an outdated picture of its tables: roll back, reload, and do it again."""


def ask_snapshot(context: WriteContext, table: Table) -> Statement:
    return reach_check(context.schema, table.qualified)


async def check_snapshot(context: WriteContext, table: Table) -> None:
    (rows,) = await context.connection.run([ask_snapshot(context, table)])
    await require_current(context, table, rows)


async def require_current(context: WriteContext, table: Table, checked: Rows) -> None:
    """`checked` answers `ask_snapshot`. What only looks like a change (a GRANT, a partition of a trigger's) is none."""
    if is_reach_current(context.schema, table.qualified, checked):
        return
    if not await is_reach_same(context.connection, context.schema, table.qualified):
        raise SnapshotStale
