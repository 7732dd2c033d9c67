"""Records a write while it runs: the rows that it changes, the rows that cascades change, a count of all others."""

from collections.abc import Awaitable, Callable
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
from basewarden.gateway.direct.fast_path import FastPathUnavailable, write_fast
from basewarden.gateway.direct.inserts import capture_insert
from basewarden.gateway.direct.snapshot_check import check_snapshot
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
from basewarden.gateway.recording.capturable import check_rules_and_children
from pgrest import CallPlan, DatabasePlan, DeletePlan, InsertPlan, Pipeline, UpdatePlan, WritePlan

Replan = Callable[[], Awaitable[DatabasePlan]]


async def capture_write(context: WriteContext, plan: DatabasePlan, replan: Replan | None = None) -> WriteOutcome:
    """Runs the plan in a transaction that is left open for the caller to commit once the outcome is journaled.

    With `replan`, `plan` is an earlier request's of the same shape, and `replan` gives this one's. Raises SnapshotStale
    when the schema changed since the snapshot; nothing is kept then.
    """
    if isinstance(plan, WritePlan):
        if replan is None:
            check_rules_and_children(context.schema, plan.table)
        outcome = await write_fast(context, plan)
        if not isinstance(outcome, FastPathUnavailable):
            return outcome
        if replan is not None:
            plan = await replan()
    return await _write_in_steps(context, plan)


async def _write_in_steps(context: WriteContext, plan: DatabasePlan) -> WriteOutcome:
    if context.runs_code or isinstance(plan, CallPlan):
        outcome = await _capture_counted(replace(context, baseline=CounterBaseline()), plan)
    else:
        outcome = await _capture(context, plan)
    if isinstance(plan, WritePlan):
        await check_snapshot(context, plan.table)
    return outcome


async def _capture_counted(context: WriteContext, plan: DatabasePlan) -> WriteOutcome:
    outcome = await _capture(context, plan)
    pipeline = Pipeline()
    context.add_deferred_check(pipeline)
    answers = await pipeline.then(OWN_NAMES).named("counts", COUNT_CHANGES).run(context.connection)
    check_nothing_deferred(answers)
    assert context.baseline is not None
    counts = subtract_counts(read_counts(answers["counts"], context.schema), context.baseline.counts)
    if isinstance(plan, InsertPlan) and is_merge(plan):
        check_fresh(plan.table.qualified, counts, outcome.changes)
    uncaptured = find_uncaptured(counts, outcome.changes, outcome.tracked)
    uncaptured = await refine_uncaptured(context.connection, uncaptured, outcome.tracked)
    check_uncaptured(context, len(outcome.changes), uncaptured)
    return replace(outcome, uncaptured=list_uncaptured(uncaptured))


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
