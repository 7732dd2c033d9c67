"""DELETE: lock the rows and everything that foreign keys will take along, write, see what is gone."""

from basewarden.gateway.direct.cascades import collect_delete_cascades
from basewarden.gateway.direct.context import (
    READ_XID,
    WriteContext,
    WriteOutcome,
    make_change,
    make_keys,
    read_cascaded_after,
    read_xid,
    write_and_read,
)
from basewarden.gateway.direct.locking import lock_targets
from basewarden.gateway.direct.row_images import by_identity, select_by_identity
from basewarden.gateway.direct.stat_counters import TrackedRows
from basewarden.gateway.recording.row_changes import drop_unchanged
from pgrest import DeletePlan, build_statement


async def capture_delete(context: WriteContext, plan: DeletePlan) -> WriteOutcome:
    table = plan.table
    before = await lock_targets(context, plan)
    cascades = await collect_delete_cascades(context.connection, context.schema, table, before, context.cascade_limits)
    context.check_row_limit(len(before) + len(cascades.rows))
    statement = build_statement(plan, keys=make_keys(table, before))
    again = select_by_identity(table, [row.identity for row in before], lock=False)
    result, (rows, xid) = await write_and_read(context, plan, statement, again, READ_XID)
    # A trigger may have kept a row, or changed it instead of letting it go.
    kept = by_identity(table, rows)
    changes = drop_unchanged([make_change(table, row, kept.get(row.identity)) for row in before])
    followers, tracked = await read_cascaded_after(context, cascades, {})
    tracked.append(TrackedRows(table, 0, frozenset(kept)))
    return WriteOutcome(result, (*changes, *followers), read_xid(xid), tracked=tuple(tracked))
