"""The usual write in one round trip: no cascade follows and no trigger changes the row. What code it runs is counted.

One statement, the caller's own, locks the rows, writes them, and returns them as they were and as they are. So it finds
just the rows that the caller may see and change, whatever policies there are; but the caller must have the right to
read all of a row. Where one statement does not suffice, the write is done in steps (`capture.py`).
"""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from basewarden.gateway.direct.context import (
    ROLLBACK,
    WriteContext,
    WriteOutcome,
    check_nothing_deferred,
    is_merge,
    make_change,
)
from basewarden.gateway.direct.deferred import FINISH
from basewarden.gateway.direct.row_images import AS_OWNER, BEGIN, list_image, read_image
from basewarden.gateway.direct.snapshot_check import require_current
from basewarden.gateway.direct.stat_counters import (
    COUNT_CHANGES,
    OWN_NAMES,
    TrackedRows,
    find_uncaptured,
    list_uncaptured,
    read_counts,
    subtract_counts,
)
from basewarden.gateway.direct.uncaptured import check_uncaptured
from basewarden.gateway.recording.row_changes import drop_unchanged
from basewarden.gateway.recording.sqlstates import INSUFFICIENT_PRIVILEGE
from basewarden.journal import RowChange
from pgrest import (
    CHANGES_CHILDREN,
    TRANSACTION_FACTS,
    DatabaseError,
    DeletePlan,
    InsertPlan,
    Pipeline,
    ReturningSpec,
    Rows,
    Statement,
    Table,
    UpdatePlan,
    WriteImages,
    WritePlan,
    quote_name,
    read_write_images,
    returning_write_sql,
    table_check,
)

# Every column may be shown and is returned twice, and PostgreSQL's lists end at 1664.
_MOST_COLUMNS = 550
# Their text names things with or without a schema, as the search path has it, and here that is the caller's.
_NAMING_TYPE = re.compile(r"reg(class|type|proc|procedure|oper|operator|config|dictionary|collation)(\[\])*")


@dataclass(frozen=True, slots=True)
class FastPathUnavailable:
    """Why one round trip does not suffice. No transaction is open then."""

    reason: str


_UNFIT = FastPathUnavailable("the table or the request needs several statements")
_OUTPUT = FastPathUnavailable("values have another text in the caller's session")
_PRIVILEGE = FastPathUnavailable("the caller or the login role may not read whole rows")
_CHANGED_MEANWHILE = FastPathUnavailable("rows changed between finding and writing them")
_UNSEEN = FastPathUnavailable("some rows may be seen and not deleted")
_SAME_TABLE = FastPathUnavailable("code wrote to the same table")


async def write_fast(context: WriteContext, plan: WritePlan) -> WriteOutcome | FastPathUnavailable:
    """Leaves the transaction open after a WriteOutcome.

    `plan` may be another request's of the same shape: the values are those in `context`.
    """
    obstacle = _find_obstacle(context, plan)
    if obstacle is not None:
        return obstacle
    returning = ReturningSpec(
        partial(list_image, plan.table), context.max_rows + 1 if context.max_rows is not None else None
    )
    try:
        answers = await _make_pipeline(context, plan, returning).run(context.connection)
    except DatabaseError as error:
        if error.sqlstate != INSUFFICIENT_PRIVILEGE:
            raise
        result: WriteOutcome | FastPathUnavailable = _PRIVILEGE
    else:
        result = await _read_outcome(context, plan, returning, answers)
    if isinstance(result, FastPathUnavailable):
        if result in (_PRIVILEGE, _OUTPUT):
            _learn(context, _slow_path_key(context))
        await context.connection.run([ROLLBACK])
    return result


def _find_obstacle(context: WriteContext, plan: WritePlan) -> FastPathUnavailable | None:
    """What is known before anything is sent, for this plan and for every plan of its shape."""
    if not context.has_canonical_output:
        return _OUTPUT
    if _has_learned(context, _slow_path_key(context)):
        return _PRIVILEGE
    if not _has_learned(context, _FITS):
        if not _fits(context, plan):
            return _UNFIT
        _learn(context, _FITS)
    return None


def _fits(context: WriteContext, plan: WritePlan) -> bool:
    table = plan.table
    is_plain = bool(table.key) and table.kind == "table" and len(table.columns) <= _MOST_COLUMNS
    is_plain = is_plain and not any(_NAMING_TYPE.fullmatch(one.base_type) for one in table.columns.values())
    is_shown_plainly = plan.media.plan is None and plan.body.kind != "custom"
    has_triggers = table.qualified in context.schema.tables_before_triggers
    if has_triggers or not is_plain or not is_shown_plainly:
        return False
    match plan:
        case InsertPlan():
            return not is_merge(plan)  # a merge has rows to lock first
        case UpdatePlan():
            return bool(plan.columns) and not _cascades(plan)
        case DeletePlan():
            return not any(key.on_delete in CHANGES_CHILDREN for key in table.foreign_keys_in)


def _cascades(plan: UpdatePlan) -> bool:
    acting = [key for key in plan.table.foreign_keys_in if key.on_update in CHANGES_CHILDREN]
    changed = plan.table.generated.union(column.name for column in plan.columns) if acting else frozenset()
    return any(not changed.isdisjoint(key.ref_columns) for key in acting)


def _make_pipeline(context: WriteContext, plan: WritePlan, returning: ReturningSpec) -> Pipeline:
    pipeline = Pipeline(BEGIN)
    if context.runs_code:
        pipeline.then(OWN_NAMES).named("counts before", COUNT_CHANGES)
    build = partial(returning_write_sql, plan=plan, returning=returning)
    pipeline.then(*context.settings).named("write", context.write(("fast", returning.limit), build)).then(FINISH)
    pipeline.named("catalog", table_check(plan.table.qualified, TRANSACTION_FACTS))
    if not _has_learned(context, _LOGIN_READS):
        pipeline.then(AS_OWNER, _read_as_login(plan.table))
    if context.runs_code:
        context.add_deferred_check(pipeline)
        pipeline.then(OWN_NAMES).named("counts after", COUNT_CHANGES)
    return pipeline


def _read_as_login(table: Table) -> Statement:
    """An undo could not restore what the login role may not read whole; a write in steps gives the reason."""
    return Statement(f"SELECT 1 FROM {quote_name(table.qualified)} LIMIT 0 FOR UPDATE")


async def _read_outcome(
    context: WriteContext, plan: WritePlan, returning: ReturningSpec, answers: Mapping[str, Rows]
) -> WriteOutcome | FastPathUnavailable:
    _learn(context, _LOGIN_READS)
    oid, stamp, *facts = next(iter(answers["catalog"].rows), (None, None))
    await require_current(context, plan.table, oid, stamp)
    result = _make_outcome(context, plan, read_write_images(plan, returning.limit, answers["write"], facts))
    if not context.runs_code or isinstance(result, FastPathUnavailable):
        return result
    check_nothing_deferred(answers)
    return _add_uncaptured(context, plan, result, answers)


def _make_outcome(context: WriteContext, plan: WritePlan, images: WriteImages) -> WriteOutcome | FastPathUnavailable:
    if not images.is_canonical:
        return _OUTPUT
    written = len(images.rows)
    is_update, is_limited = isinstance(plan, UpdatePlan), isinstance(plan, DeletePlan) and context.max_rows is not None
    if (is_update or is_limited) and not written and images.touched:
        return _CHANGED_MEANWHILE
    if is_limited and not written and not context.sees_all(plan.table):
        return _UNSEEN
    context.check_row_limit(max(images.found, written))
    if (is_update or is_limited) and images.found != written:
        return _CHANGED_MEANWHILE  # of a key, or some of them may not be deleted
    changes, updated = tuple(_list_changes(plan, images)), written if is_update else 0
    tracked = (TrackedRows(plan.table, updated, frozenset()),)
    return WriteOutcome(images.result, changes, images.xid, tracked=tracked, is_repeatable=True)


def _add_uncaptured(
    context: WriteContext, plan: WritePlan, outcome: WriteOutcome, answers: Mapping[str, Rows]
) -> WriteOutcome | FastPathUnavailable:
    """Where code wrote to the same table, the rows may not be as they were returned."""
    before, after = (read_counts(answers[name], context.schema) for name in ("counts before", "counts after"))
    uncaptured = find_uncaptured(subtract_counts(after, before), outcome.changes, outcome.tracked)
    if plan.table.qualified in uncaptured:
        return _SAME_TABLE
    check_uncaptured(context, len(outcome.changes), uncaptured)
    return replace(outcome, uncaptured=list_uncaptured(uncaptured))


def _list_changes(plan: WritePlan, images: WriteImages) -> list[RowChange]:
    table = plan.table
    named = frozenset(column.name for column in plan.columns) if isinstance(plan, UpdatePlan) else None
    return drop_unchanged(
        make_change(
            table,
            None if before is None else read_image(table, before),
            None if after is None else read_image(table, after),
            set_columns=named,
        )
        for before, after in images.rows
    )


# Learned once for a shape and a snapshot ------------------------------------------------------------------

_LOGIN_READS, _FITS = "login reads", "fits"


def _slow_path_key(context: WriteContext) -> Hashable:
    return ("slow path", context.role)


def _has_learned(context: WriteContext, fact: Hashable) -> bool:
    return context.template is not None and fact in context.template.learned


def _learn(context: WriteContext, fact: Hashable) -> None:
    if context.template is not None:
        context.template.learned.add(fact)
