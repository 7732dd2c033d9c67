"""Statement capture: the rows that a request changes, what foreign keys change in its wake, a count of the rest."""

from dataclasses import replace

from basewarden.gateway.direct.calls import capture_call
from basewarden.gateway.direct.context import (
    CounterBaseline,
    WriteContext,
    WriteOutcome,
    check_nothing_deferred,
    is_merge,
)
from basewarden.gateway.direct.deletes import capture_delete
from basewarden.gateway.direct.fast_path import SETTINGS, can_use_fast_path, write_fast
from basewarden.gateway.direct.inserts import capture_insert
from basewarden.gateway.direct.snapshot_check import SnapshotStale, check_snapshot
from basewarden.gateway.direct.stat_counters import (
    COUNT_CHANGES,
    OWN_NAMES,
    check_fresh,
    find_uncaptured,
    list_uncaptured,
    read_counts,
    subtract_counts,
)
from basewarden.gateway.direct.uncaptured import check_uncaptured, refine_uncaptured
from basewarden.gateway.direct.updates import capture_update
from basewarden.gateway.errors import NotCaptured
from pgrest import CallPlan, DatabasePlan, DeletePlan, InsertPlan, UpdatePlan, WritePlan

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
        return await _capture_traced(context, plan)
    assert isinstance(plan, WritePlan)
    _check_capturable(context, plan)
    outcome = await repeat_write(context, plan) if can_use_fast_path(context, plan) else None
    if outcome is None:
        capture = _capture_traced if context.runs_code else _capture
        outcome = await capture(context, plan)
    if not outcome.is_checked:
        await check_snapshot(context, plan.table)
    return outcome


def _check_capturable(context: WriteContext, plan: WritePlan) -> None:
    for name in context.schema.reaches[plan.table.qualified]:
        if context.schema.tables[name].has_rules:
            raise NotCaptured(
                f"{'.'.join(name)} has rewrite rules, whose effects cannot be recorded.",
                hint="Use triggers instead: their changes are counted.",
            )
    if plan.table.has_child_tables:
        raise NotCaptured(
            f"Other tables inherit from {plan.table.name}, so its writes cannot be recorded completely.",
            hint="Write to the table that contains the row.",
        )


def can_repeat_write(context: WriteContext, plan: DatabasePlan) -> bool:
    """Whether `repeat_write` will most likely do for every plan of the shape of this one."""
    return isinstance(plan, WritePlan) and can_use_fast_path(context, plan)


async def repeat_write(context: WriteContext, plan: DatabasePlan) -> WriteOutcome | None:
    """For a plan of which only the shape is right, the values are in `context`; None where this will not do."""
    assert isinstance(plan, WritePlan)
    return await write_fast(replace(context, baseline=CounterBaseline()) if context.runs_code else context, plan)


async def _capture_traced(context: WriteContext, plan: DatabasePlan) -> WriteOutcome:
    baseline = CounterBaseline()
    outcome = await _capture(replace(context, baseline=baseline), plan)
    *settled, _, counted = await context.connection.run([*context.deferred_check(), OWN_NAMES, COUNT_CHANGES])
    check_nothing_deferred(settled)
    counts = subtract_counts(read_counts(counted, context.schema), baseline.earlier)
    if isinstance(plan, InsertPlan) and is_merge(plan):
        check_fresh(plan.table.qualified, counts, outcome.changes)
    uncaptured = find_uncaptured(counts, outcome.changes, outcome.tracked)
    uncaptured = await refine_uncaptured(context.connection, uncaptured, outcome.tracked)
    check_uncaptured(context, len(outcome.changes), uncaptured)
    return replace(outcome, unseen=list_uncaptured(uncaptured))


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
