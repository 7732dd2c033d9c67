"""Statement capture: the rows that a request changes, what foreign keys change in its wake, a count of the rest."""

from dataclasses import replace

from basewarden.gateway.capture.at_once import SETTINGS, can_write_at_once, write_at_once
from basewarden.gateway.capture.call import capture_call
from basewarden.gateway.capture.delete import capture_delete
from basewarden.gateway.capture.insert import capture_insert
from basewarden.gateway.capture.snapshot import SnapshotStale, check_snapshot
from basewarden.gateway.capture.traces import (
    COUNT_CHANGES,
    calls_functions,
    can_leave_traces,
    count_unseen,
    describe_unseen,
    read_counts,
)
from basewarden.gateway.capture.update import capture_update
from basewarden.gateway.capture.write import Traces, WriteContext, WriteOutcome, is_merge
from basewarden.gateway.errors import NotCaptured
from basewarden.pgrest import CallPlan, DatabasePlan, DeletePlan, InsertPlan, Table, UpdatePlan, WritePlan

__all__ = [
    "SETTINGS",
    "SnapshotStale",
    "WriteContext",
    "WriteOutcome",
    "can_repeat_write",
    "capture_write",
    "repeat_write",
]


async def capture_write(context: WriteContext, plan: DatabasePlan) -> WriteOutcome:
    """Runs the plan in a transaction that is left open: whoever has journaled the outcome commits it.

    Raises SnapshotStale when a migration was faster; the same on a fresh snapshot is right then.
    """
    if isinstance(plan, CallPlan):
        return await _capture_traced(context, plan, None)
    assert isinstance(plan, WritePlan)
    table = plan.table
    _check_capturable(context, plan)
    if can_leave_traces(context.schema, table) or calls_functions(plan):
        outcome = await _capture_traced(context, plan, table)
    else:
        at_once = await write_at_once(context, plan) if can_write_at_once(context, plan) else None
        outcome = at_once or await _capture(context, plan)
    if not outcome.is_checked:
        await check_snapshot(context, table)
    return outcome


def _check_capturable(context: WriteContext, plan: WritePlan) -> None:
    for name in context.schema.reaches[plan.table.qualified]:
        if context.schema.tables[name].has_rules:
            raise NotCaptured(
                f"{'.'.join(name)} has rules, and nobody sees what they write.",
                hint="Triggers can do the same, and what they do is counted.",
            )
    if plan.table.has_heirs and (not isinstance(plan, InsertPlan) or is_merge(plan)):
        raise NotCaptured(
            f"Other tables inherit from {plan.table.name}, and of their rows only part would be recorded.",
            hint="Write to the table that holds the row.",
        )


def can_repeat_write(context: WriteContext, plan: DatabasePlan) -> bool:
    """Whether `repeat_write` will most likely do for every plan of the shape of this one."""
    if not isinstance(plan, WritePlan) or can_leave_traces(context.schema, plan.table) or calls_functions(plan):
        return False
    return can_write_at_once(context, plan)


async def repeat_write(context: WriteContext, plan: DatabasePlan) -> WriteOutcome | None:
    """For a plan of which only the shape is right, the values are in `context`; None where this will not do."""
    assert isinstance(plan, WritePlan)
    return await write_at_once(context, plan)


async def _capture_traced(context: WriteContext, plan: DatabasePlan, table: Table | None) -> WriteOutcome:
    traces = Traces()
    outcome = await _capture(replace(context, traces=traces), plan)
    (counted,) = await context.connection.run([COUNT_CHANGES])
    unseen = describe_unseen(traces.earlier, read_counts(counted), context.schema, table, outcome.changes)
    context.check_row_limit(len(outcome.changes) + count_unseen(unseen))
    return replace(outcome, unseen=unseen)


async def _capture(context: WriteContext, plan: DatabasePlan) -> WriteOutcome:
    match plan:
        case InsertPlan():
            return await capture_insert(context, plan)
        case UpdatePlan():
            return await capture_update(context, plan)
        case DeletePlan():
            return await capture_delete(context, plan)
        case CallPlan():
            return await capture_call(context, plan)
        case _:
            raise TypeError(f"{type(plan).__name__} writes nothing")
