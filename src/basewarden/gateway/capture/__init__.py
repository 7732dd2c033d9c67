"""Statement capture: the rows that a request changes, what foreign keys change in its wake, a count of the rest."""

from dataclasses import replace

from basewarden.gateway.capture.at_once import (
    OWNER,
    can_change_at_once,
    can_insert_at_once,
    change_at_once,
    try_insert_at_once,
)
from basewarden.gateway.capture.call import capture_call
from basewarden.gateway.capture.delete import capture_delete
from basewarden.gateway.capture.insert import capture_insert
from basewarden.gateway.capture.snapshot import SnapshotStale, check_snapshot
from basewarden.gateway.capture.traces import (
    COUNT_CHANGES,
    can_leave_traces,
    count_unseen,
    describe_unseen,
    read_counts,
)
from basewarden.gateway.capture.update import capture_update
from basewarden.gateway.capture.write import Traces, WriteContext, WriteOutcome
from basewarden.pgrest import CallPlan, DatabasePlan, DeletePlan, InsertPlan, Table, UpdatePlan, WritePlan

__all__ = [
    "OWNER",
    "SnapshotStale",
    "WriteContext",
    "WriteOutcome",
    "can_write_at_once",
    "capture_write",
    "write_at_once",
]


async def capture_write(context: WriteContext, plan: DatabasePlan) -> WriteOutcome:
    """Runs the plan in a transaction that is left open: whoever has journaled the outcome commits it.

    Raises SnapshotStale when a migration was faster; the same on a fresh snapshot is right then.
    """
    if isinstance(plan, CallPlan):
        return await _capture_traced(context, plan, None)
    table = plan.table
    if can_leave_traces(context.schema, table):
        outcome = await _capture_traced(context, plan, table)
    else:
        outcome = await _capture(context, plan)
    if not outcome.is_checked:
        await check_snapshot(context, table)
    return outcome


def can_write_at_once(context: WriteContext, plan: DatabasePlan) -> bool:
    """Whether one round trip will do, now and for every plan of the same shape."""
    if not isinstance(plan, WritePlan) or can_leave_traces(context.schema, plan.table):
        return False
    return can_insert_at_once(context, plan) if isinstance(plan, InsertPlan) else can_change_at_once(context, plan)


async def write_at_once(context: WriteContext, plan: DatabasePlan) -> WriteOutcome | None:
    """For a plan of which only the shape is right, the values are in `context`; None where this will not do."""
    if isinstance(plan, InsertPlan):
        return await try_insert_at_once(context, plan)
    assert isinstance(plan, UpdatePlan | DeletePlan)
    return await change_at_once(context, plan)


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
