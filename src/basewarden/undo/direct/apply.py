"""Writes the rows of a plan in the open transaction, and verifies that they are then as planned."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from basewarden.journal import Image, RowChange, UncapturedChanges
from basewarden.undo.direct.placeholder_moves import PlaceholderMoves, move_to_placeholders
from basewarden.undo.direct.run_writes import run_writes
from basewarden.undo.direct.statement_order import order_rows
from basewarden.undo.direct.statements import make_stages, merge_steps
from basewarden.undo.direct.table_facts import TableFacts, read_facts
from basewarden.undo.direct.unique_collisions import find_collisions
from basewarden.undo.direct.verification import find_mismatches, read_rows_by_table, restore_overwritten
from basewarden.undo.errors import make_failure
from basewarden.undo.execution.changes import make_row_change
from basewarden.undo.execution.conflicts import describe_rejection, make_not_deleted
from basewarden.undo.execution.failures import ConcurrentChange, PlanRejected
from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.planning.row_reader import Key
from basewarden.undo.receipt import RowConflict
from pgrest import DatabaseError, DbConnection, Name, Statement

_DEFER = Statement("SET CONSTRAINTS ALL DEFERRED")
_CHECK_NOW = Statement("SET CONSTRAINTS ALL IMMEDIATE")
_CONCURRENT_CHANGES = ("40001", "40P01", "0A000", "26000")  # the last two: a statement was prepared before DDL
_REJECTIONS = ("09", "0A", "21", "22", "23", "27", "39", "3D", "3F", "42", "44", "P0")


@dataclass(frozen=True, slots=True)
class Applied:
    """The row changes of the undo, and notes on the columns that triggers overwrote.

    `uncaptured` counts what triggers changed beyond the plan, by table; `replaced` the planned rows that
    were deleted and inserted.
    """

    changes: tuple[RowChange, ...]
    notes: tuple[str, ...]
    uncaptured: tuple[UncapturedChanges, ...] = ()
    replaced: Mapping[Name, int] = field(default_factory=dict)


async def apply_rows(connection: DbConnection, rows: Sequence[RowPlan]) -> Applied:
    """Raises PlanRejected or ConcurrentChange; all constraints have been checked when it returns."""
    try:
        replaced = await _write_rows(connection, rows)
        right = await restore_overwritten(connection, rows)
    except DatabaseError as error:
        raise explain_error(error) from error
    return Applied(await _read_changes(connection, rows), right.notes, replaced=replaced + right.replaced)


async def try_rows(connection: DbConnection, rows: Sequence[RowPlan]) -> Applied:
    """Like apply_rows, for a rollback: overwritten columns are not restored, since that takes heavy locks."""
    try:
        replaced = await _write_rows(connection, rows)
        await find_mismatches(connection, rows)
    except DatabaseError as error:
        raise explain_error(error) from error
    return Applied(await _read_changes(connection, rows), (), replaced=replaced)


async def _write_rows(connection: DbConnection, rows: Sequence[RowPlan]) -> Counter[Name]:
    """Returns how many rows of each table were deleted and inserted again."""
    facts = await read_facts(connection, {row.table.oid: row.table for row in rows}.values())
    await connection.run([_DEFER])
    collisions = await find_collisions(connection, rows, facts)
    moves = await move_to_placeholders(connection, rows, collisions)
    stages = await asyncio.to_thread(_make_statements, rows, moves, facts)
    await run_writes(connection, [*stages, _CHECK_NOW])
    return Counter(rows[number].table.counted_as for number in moves.replaced)


def _make_statements(rows: Sequence[RowPlan], moves: PlaceholderMoves, facts: TableFacts) -> list[Statement]:
    """Takes a second for a hundred thousand rows, so it must not run on an event loop that serves requests."""
    stage_order = order_rows(rows, moves.ranks, moves.placeholders)
    stages = make_stages(rows, stage_order, moves.placeholders, moves.replaced, facts)
    return [merge_steps(stage) for stage in stages]


async def _read_changes(connection: DbConnection, rows: Sequence[RowPlan]) -> tuple[RowChange, ...]:
    found = await read_rows_by_table(connection, ((row.table, row.target_key or row.current_key) for row in rows))
    return await asyncio.to_thread(_make_changes, rows, found)


def _make_changes(rows: Sequence[RowPlan], found: Mapping[int, Mapping[Key, Image]]) -> tuple[RowChange, ...]:
    occupied = {(row.table.oid, row.target_key) for row in rows if row.target is not None}
    changes = []
    for row in rows:
        place = row.target_key or row.current_key or ()
        image = found.get(row.table.oid, {}).get(place)
        if row.target is None and image is not None and (row.table.oid, place) not in occupied:
            raise PlanRejected([make_not_deleted(row)])
        changes.append(make_row_change(row, row.current, image if row.target is not None else None))
    return tuple(changes)


def explain_error(error: DatabaseError) -> Exception:
    """The meaning of a database error for an undo; never `error` itself, which would become its own cause."""
    if error.sqlstate in _CONCURRENT_CHANGES:
        return ConcurrentChange()
    if not error.sqlstate.startswith(_REJECTIONS):
        return make_failure(error.sqlstate)
    fields = error.fields
    reason = describe_rejection(error.message)
    columns = (fields.column,) if fields.column else ()
    return PlanRejected([RowConflict(fields.schema or "", fields.table or "", {}, columns, reason)], error=error)
