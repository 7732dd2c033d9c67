"""POST and PUT to a table: rows that are there already are locked and kept, then what was written is read."""

from collections.abc import Collection

from basewarden.gateway.direct.cascades import collect_update_cascades
from basewarden.gateway.direct.context import (
    READ_XID,
    ROLLBACK,
    WriteContext,
    WriteOutcome,
    is_merge,
    make_change,
    open_transaction,
    read_cascaded_after,
    read_xid,
    write_and_read,
)
from basewarden.gateway.direct.row_images import (
    ALIAS,
    RowImage,
    read_images,
    run_as_owner,
    select_by_columns,
    select_by_identity,
    select_images,
    select_written_here,
)
from basewarden.gateway.direct.stat_counters import (
    COUNT_CHANGES,
    ChangeCount,
    TrackedRows,
    read_counts,
    subtract_counts,
)
from basewarden.gateway.errors import WriteConflict
from basewarden.gateway.recording.capturable import own_rows_not_distinguished
from basewarden.gateway.recording.cascades import Identity
from basewarden.gateway.recording.row_changes import drop_unchanged
from basewarden.gateway.recording.sqlstates import INSUFFICIENT_PRIVILEGE
from pgrest import (
    Builder,
    DatabaseError,
    InsertPlan,
    Result,
    Statement,
    Table,
    build_statement,
    operator_sql,
    payload_sql,
    quote_column,
    same_sql,
)

MAX_TRIES = 4


async def capture_insert(context: WriteContext, plan: InsertPlan) -> WriteOutcome:
    """Tried again when a row that was not there to be locked turns out to have been updated."""
    missed: set[Identity] = set()
    is_blind = not context.can_read_keys(plan.table)
    for _ in range(MAX_TRIES):
        before = await _lock_existing(context, plan, missed)
        try:
            found = await _try_insert(context, plan, before, is_blind=is_blind)
        except DatabaseError as error:
            if error.sqlstate != INSUFFICIENT_PRIVILEGE or plan.returning or is_blind:
                raise
            is_blind = True  # it may write rows that it may not read (a contact form): RETURNING was refused
        else:
            if isinstance(found, WriteOutcome):
                return found
            missed |= found
        await context.connection.run([ROLLBACK])
    raise WriteConflict


async def _try_insert(
    context: WriteContext, plan: InsertPlan, before: list[RowImage], *, is_blind: bool
) -> WriteOutcome | set[Identity]:
    """The outcome, or the conflict keys of rows that another client inserted after we looked."""
    named = frozenset(column.name for column in plan.columns)
    cascades = await collect_update_cascades(
        context.connection, context.schema, plan.table, before, named, context.cascade_limits
    )
    result, written = await (_insert_blindly(context, plan) if is_blind else _insert(context, plan))
    context.check_row_limit(len(written) + len(cascades.rows))
    written = await _confirm(context, plan, result, written, is_blind=is_blind)
    pairs = await _pair_rows(context, plan, before, written)
    fresh = [row for old, row in pairs if old is None]
    if is_merge(plan) and len(fresh) > (result.inserted or 0):
        return await _find_unseen_updates(context, plan, fresh)
    changes = drop_unchanged([make_change(plan.table, old, row, set_columns=named) for old, row in pairs])
    followers, tracked = await read_cascaded_after(
        context, cascades, {id(old): row for old, row in pairs if old is not None}
    )
    (xid,) = await context.connection.run([READ_XID])
    tracked.append(TrackedRows(plan.table, len(pairs) - len(fresh), frozenset(row.identity for row in written)))
    return WriteOutcome(result, (*changes, *followers), read_xid(xid), tracked=tuple(tracked))


async def _confirm(
    context: WriteContext, plan: InsertPlan, result: Result, found: list[RowImage], *, is_blind: bool
) -> list[RowImage]:
    """The rows that the statement wrote, of those it reported or all that the transaction wrote. Raises NotCaptured.

    The latter hold what triggers wrote as well: only as many as the statement wrote, with none deleted, are its own.
    """
    expected = len(found) if result.written is None else result.written
    if not is_blind and len(found) >= expected:
        return found
    table, here = plan.table, found
    if not is_blind:
        (rows,) = await run_as_owner(context.connection, [select_written_here(table)])
        here = read_images(table, rows)
    if len(here) == expected and not await _has_deleted(context, table):
        return here
    if not is_blind and {row.identity for row in here} <= {row.identity for row in found}:
        return found  # a trigger deleted the others again
    raise own_rows_not_distinguished(table)


async def _has_deleted(context: WriteContext, table: Table) -> bool:
    if context.baseline is None:
        return False
    (counted,) = await run_as_owner(context.connection, [COUNT_CHANGES])
    counts = subtract_counts(read_counts(counted, context.schema), context.baseline.counts)
    found = counts.get(table.qualified, ChangeCount())
    return found.deleted > 0 or found.emptied


async def _pair_rows(
    context: WriteContext, plan: InsertPlan, before: list[RowImage], written: list[RowImage]
) -> list[tuple[RowImage | None, RowImage]]:
    """Each written row with what was there, by the conflict columns: first by their text, then by their equality."""
    old = {row.image.key(plan.conflict_columns): row for row in before} if before else {}
    found = {row.identity: same for row in written if (same := old.pop(row.image.key(plan.conflict_columns), None))}
    if old and len(found) < len(written):
        rest = list(old.items())
        statements = [select_by_columns(plan.table, plan.conflict_columns, [key], lock=False) for key, _ in rest]
        answers = await run_as_owner(context.connection, statements)
        for (_, was), rows in zip(rest, answers, strict=True):
            found.update({row.identity: was for row in read_images(plan.table, rows)})
    return [(found.get(row.identity), row) for row in written]


async def _lock_existing(context: WriteContext, plan: InsertPlan, missed: Collection[Identity]) -> list[RowImage]:
    """Opens the transaction. Rows that the body's conflict columns name, and those missed the time before."""
    await context.connection.run(await open_transaction(context))
    if not is_merge(plan):
        return []
    found: dict[Identity, RowImage] = {}
    statements = [select_by_columns(plan.table, plan.conflict_columns, missed, lock=True)] if missed else []
    if {column.name for column in plan.columns}.issuperset(plan.conflict_columns):
        statements.append(_select_conflicting(plan))
    for rows in await run_as_owner(context.connection, statements):
        found.update({row.identity: row for row in read_images(plan.table, rows)})
    return list(found.values())


def _select_conflicting(plan: InsertPlan) -> Statement:
    builder = Builder()
    columns = [column for column in plan.columns if column.name in plan.conflict_columns]
    body = payload_sql(builder, plan.payload, columns)
    match = " AND ".join(
        same_sql(plan.table, name, quote_column(ALIAS, name), quote_column("pgrst_body", name))
        for name in plan.conflict_columns
    )
    return select_images(builder, plan.table, f", {body} WHERE {match}", lock=True)


async def _insert(context: WriteContext, plan: InsertPlan) -> tuple[Result, list[RowImage]]:
    result, _ = await write_and_read(context, plan, build_statement(plan, report_keys=True))
    (rows,) = await run_as_owner(context.connection, [select_by_identity(plan.table, result.keys or (), lock=False)])
    return result, read_images(plan.table, rows)


async def _insert_blindly(context: WriteContext, plan: InsertPlan) -> tuple[Result, list[RowImage]]:
    statement = build_statement(plan, count_written=True)
    result, (rows,) = await write_and_read(context, plan, statement, select_written_here(plan.table))
    return result, read_images(plan.table, rows)


async def _find_unseen_updates(context: WriteContext, plan: InsertPlan, fresh: list[RowImage]) -> set[Identity]:
    """ON CONFLICT DO UPDATE leaves its own lock in xmax; so may a foreign key, which costs a look in vain."""
    statement = select_by_identity(
        plan.table, [row.identity for row in fresh], lock=False, also=f" AND {ALIAS}.xmax {operator_sql(None, '<>')} 0"
    )
    (rows,) = await run_as_owner(context.connection, [statement])
    return {row.image.key(plan.conflict_columns) for row in read_images(plan.table, rows)}
