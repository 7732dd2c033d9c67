"""Counts and reports what triggers change during an undo, and refuses an undo in which they delete rows.

A row that a trigger deletes is not in the journal, so no later undo could restore it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from basewarden.gateway.direct import (
    COUNT_CHANGES,
    FINISH,
    OWN_NAMES,
    WITH_SESSION_PATH,
    ChangeCount,
    ChangeCounts,
    add_deferred_check,
    is_nothing_deferred,
    list_uncaptured,
    read_counts,
    subtract_counts,
    written_here_sql,
)
from basewarden.undo.direct.apply import Applied, apply_rows, explain_error
from basewarden.undo.execution.failures import PlanRejected
from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.receipt import RowConflict, count_rows
from pgrest import DatabaseError, DbConnection, Name, Pipeline, Schema, Statement, may_reach_code, quote_name

Write = Callable[[DbConnection, Sequence[RowPlan]], Awaitable[Applied]]
_ACTIONS = ("insert", "update", "delete")


async def apply_counted(
    connection: DbConnection, schema: Schema, rows: Sequence[RowPlan], *, write: Write = apply_rows
) -> Applied:
    """Like `write`; also raises PlanRejected where a trigger deleted rows that are not part of the plan."""
    if not any(may_reach_code(schema, name) for name in {row.table.qualified for row in rows}):
        return await write(connection, rows)
    earlier = await _count(connection, schema)
    applied = await write(connection, rows)
    await _check_settled(connection)
    counted = subtract_counts(await _count(connection, schema), earlier)
    effects = await _find_effects(connection, counted, rows, applied.replaced)
    lost = [_refuse_loss(name, effect) for name, effect in effects.items() if effect.deleted or effect.emptied]
    if lost:
        raise PlanRejected(lost)
    return replace(applied, uncaptured=list_uncaptured(effects))


async def _check_settled(connection: DbConnection) -> None:
    """Changes that triggers defer to the COMMIT could be neither counted nor refused."""
    check = Pipeline()
    add_deferred_check(check, [WITH_SESSION_PATH, FINISH])
    try:
        answers = await check.run(connection)
    except DatabaseError as error:
        raise explain_error(error) from error
    if not is_nothing_deferred(answers):
        raise PlanRejected([RowConflict("", "", {}, (), "A trigger defers its changes until after the undo.")])


async def _count(connection: DbConnection, schema: Schema) -> ChangeCounts:
    _, rows = await connection.run([OWN_NAMES, COUNT_CHANGES])
    return read_counts(rows, schema)


async def _find_effects(
    connection: DbConnection, counted: ChangeCounts, rows: Sequence[RowPlan], replaced: Mapping[Name, int]
) -> dict[Name, ChangeCount]:
    """Counts by table the rows that were changed and are not part of the plan."""
    planned: dict[Name, list[RowPlan]] = {}
    for row in rows:
        planned.setdefault(row.table.counted_as, []).append(row)
    effects = {}
    for name, count in sorted(counted.items()):
        effect = count
        if name in planned:
            effect = await _subtract_planned(connection, name, count, planned[name], replaced.get(name, 0))
        if effect.total:
            effects[name] = effect
    return effects


async def _subtract_planned(
    connection: DbConnection, name: Name, count: ChangeCount, rows: Sequence[RowPlan], known: int
) -> ChangeCount:
    """Subtracts what the undo itself did, which may write a row several times, or delete and insert it."""
    inserts, updates, deletes = (sum(row.action == action for row in rows) for action in _ACTIONS)
    inserted, updated, deleted = count.inserted - inserts, count.updated - updates, count.deleted - deletes
    replaced = max(0, min(inserted, deleted, known + _count_moved(rows, updates, count)))
    inserted, deleted = max(0, inserted - replaced), max(0, deleted - replaced)
    if updated <= 0 and not inserted and not replaced:
        return ChangeCount(deleted=deleted, emptied=count.emptied)
    statement = f"SELECT pg_catalog.count(*) FROM {quote_name(name)} AS bw_row WHERE {written_here_sql('bw_row')}"
    (counted,) = await connection.run([Statement(statement)])
    others = int(counted.rows[0][0] or 0) - sum(row.target is not None for row in rows)
    return ChangeCount(inserted, max(0, others - inserted), deleted, count.emptied)


def _count_moved(rows: Sequence[RowPlan], updates: int, count: ChangeCount) -> int:
    """How many updates may count as a delete and an insert, because a row moved to another partition or by a trigger.

    The partition key is part of every unique key.
    """
    keyed = [row for row in rows if row.action == "update" and not set(row.restored).isdisjoint(row.table.key)]
    is_plain = all(row.table.kind == "table" and row.table.root is None for row in rows)
    return max(0, updates - count.updated, 0 if is_plain else len(keyed))


def _refuse_loss(name: Name, effect: ChangeCount) -> RowConflict:
    schema, table = name
    lost = count_rows(effect.deleted) if effect.deleted else "all rows"
    reason = f"A trigger would delete {lost} of {schema}.{table} that this session did not write."
    return RowConflict(schema, table, {}, (), reason)
