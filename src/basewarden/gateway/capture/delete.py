"""DELETE: lock the rows and everything that foreign keys will take along, write, see what is gone."""

from basewarden.gateway.capture.images import by_identity, select_by_identity
from basewarden.gateway.capture.targets import lock_targets
from basewarden.gateway.capture.traces import Touched
from basewarden.gateway.capture.wake import collect_delete_wake
from basewarden.gateway.capture.write import (
    READ_XID,
    WriteContext,
    WriteOutcome,
    compact,
    make_change,
    make_keys,
    read_followers_after,
    read_xid,
    write_and_read,
)
from pgrest import DeletePlan, build_statement


async def capture_delete(context: WriteContext, plan: DeletePlan) -> WriteOutcome:
    table = plan.table
    before = await lock_targets(context, plan)
    wake = await collect_delete_wake(context.connection, context.schema, table, before, context.wake_limits)
    context.check_row_limit(len(before) + len(wake.followers))
    statement = build_statement(plan, keys=make_keys(table, before))
    again = select_by_identity(table, [row.identity for row in before], lock=False)
    result, (rows, xid) = await write_and_read(context, plan, statement, again, READ_XID)
    # A trigger may have kept a row, or changed it instead of letting it go.
    kept = by_identity(table, rows)
    changes = compact([make_change(table, row, kept.get(row.identity)) for row in before])
    followers, touched = await read_followers_after(context, wake, {})
    touched.append(Touched(table, 0, frozenset(kept)))
    return WriteOutcome(result, (*changes, *followers), read_xid(xid), touched=tuple(touched))
