"""PATCH: lock, write, read again."""

from basewarden.gateway.direct.cascades import collect_update_cascades
from basewarden.gateway.direct.context import (
    READ_XID,
    WriteContext,
    WriteOutcome,
    make_change,
    make_keys,
    match_moved,
    read_cascaded_after,
    read_xid,
    write_and_read,
)
from basewarden.gateway.direct.locking import lock_targets
from basewarden.gateway.direct.row_images import (
    RowImage,
    by_identity,
    read_images,
    run_as_owner,
    select_by_identity,
    select_written_here,
)
from basewarden.gateway.direct.stat_counters import TrackedRows
from basewarden.gateway.recording.capturable import new_values_not_determined
from basewarden.gateway.recording.cascades import Identity
from basewarden.gateway.recording.row_changes import drop_unchanged
from pgrest import Result, Rows, Table, UpdatePlan, build_statement, key_columns


async def capture_update(context: WriteContext, plan: UpdatePlan) -> WriteOutcome:
    table = plan.table
    before = await lock_targets(context, plan)
    named = frozenset(column.name for column in plan.columns)
    cascades = await collect_update_cascades(
        context.connection, context.schema, table, before, named, context.cascade_limits
    )
    context.check_row_limit(len(before) + len(cascades.rows))
    result, after, xid = await _write(context, plan, before, named | table.generated)
    written = len(after) if result.written is None else result.written
    changes = drop_unchanged([make_change(table, row, after.get(row.identity), set_columns=named) for row in before])
    parents_after = {id(row): found for row in before if (found := after.get(row.identity))}
    followers, tracked = await read_cascaded_after(context, cascades, parents_after)
    tracked.append(TrackedRows(table, written, frozenset(row.identity for row in after.values())))
    return WriteOutcome(result, (*changes, *followers), read_xid(xid), tracked=tuple(tracked))


async def _write(
    context: WriteContext, plan: UpdatePlan, before: list[RowImage], changed: frozenset[str]
) -> tuple[Result, dict[Identity, RowImage], Rows]:
    """The answer, what each row (by its identity before) is now, and the transaction's id."""
    table = plan.table
    identities = [row.identity for row in before]
    keys = make_keys(table, before)
    if _keeps_identity(plan, changed):
        again = select_by_identity(table, identities, lock=False)
        result, (rows, xid) = await write_and_read(context, plan, build_statement(plan, keys=keys), again, READ_XID)
        return result, by_identity(table, rows), xid
    result, (xid,) = await write_and_read(context, plan, build_statement(plan, keys=keys, report_keys=True), READ_XID)
    if context.can_read_keys(table):
        after = await _find_reported(context, table, identities, result)
        if len(after) == len(before):
            return result, after, xid
    return result, await _find_unreported(context, table, before, changed), xid


def _keeps_identity(plan: UpdatePlan, changed: frozenset[str]) -> bool:
    """A trigger may change what the request does not name, and a row without a key moves when it is written."""
    return bool(plan.table.key) and changed.isdisjoint(plan.table.key) and not plan.table.has_triggers


async def _find_reported(
    context: WriteContext, table: Table, identities: list[Identity], result: Result
) -> dict[Identity, RowImage]:
    width = len(key_columns(table))
    moved = {key[:width]: key[width:] for key in result.keys or ()}
    now = [moved.get(identity, identity) for identity in identities]
    (rows,) = await run_as_owner(context.connection, [select_by_identity(table, now, lock=False)])
    found = by_identity(table, rows)
    return {old: found[new] for old, new in zip(identities, now, strict=True) if new in found}


async def _find_unreported(
    context: WriteContext, table: Table, before: list[RowImage], named: frozenset[str]
) -> dict[Identity, RowImage]:
    """For keys whose text depends on the session: rows are matched by the rest of the key instead.

    A row that is nowhere to be found was deleted, by a trigger, only where nothing is left that it could be.
    """
    again = select_by_identity(table, [row.identity for row in before], lock=False)
    kept, written = await run_as_owner(context.connection, [again, select_written_here(table)])
    found = by_identity(table, kept)
    lost = [row for row in before if row.identity not in found]
    candidates = [row for row in read_images(table, written) if row.identity not in found]
    moved = match_moved(table, lost, candidates, named)
    if len(candidates) > len(moved) and len(moved) < len(lost):
        raise new_values_not_determined(table)
    return {**found, **moved}
