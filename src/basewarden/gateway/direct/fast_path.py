"""The usual write in one round trip: nothing follows in its wake, and no trigger fires. What code it runs is counted.

One statement, the caller's own, locks the rows, writes them, and tells how they were and how they are. So it finds just
the rows that the caller may see and change, whatever policies there are; but the caller must have the right to read all
of a row. What it will not do in one piece goes the long way.
"""

import re
from collections.abc import Hashable
from dataclasses import replace
from functools import partial

from basewarden.gateway.direct.context import (
    ROLLBACK,
    WriteContext,
    WriteOutcome,
    check_nothing_deferred,
    compact,
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
from basewarden.journal import RowChange
from pgrest import (
    TRANSACTION_FACTS,
    DatabaseError,
    DeletePlan,
    InsertPlan,
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

_INSUFFICIENT_PRIVILEGE = "42501"
_CHANGES_CHILDREN = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})
# Every column may be shown and is told twice, and PostgreSQL's lists end at 1664.
_MOST_COLUMNS = 550
# Their text names things with or without a schema, as the search path has it, and here that is the caller's.
_NAMING_TYPE = re.compile(r"reg(class|type|proc|procedure|oper|operator|config|dictionary|collation)(\[\])*")
SETTINGS = {"idle_in_transaction_session_timeout": "60s"}
"""A process that was frozen here must not hold the rows' locks for ever."""


def can_use_fast_path(context: WriteContext, plan: WritePlan) -> bool:
    """Whether one round trip will most likely do, now and for every plan of the same shape."""
    if not context.has_canonical_output or _has_note(context, _slow_path_key(context)):
        return False
    if not _has_note(context, _FITS):
        if not _fits(context, plan):
            return False
        _note(context, _FITS)
    return True


def _fits(context: WriteContext, plan: WritePlan) -> bool:
    table = plan.table
    is_plain = bool(table.key) and table.kind == "table" and len(table.columns) <= _MOST_COLUMNS
    is_plain = is_plain and not any(_NAMING_TYPE.fullmatch(one.base_type) for one in table.columns.values())
    is_told_plainly = plan.media.plan is None and plan.body.kind != "custom"
    has_triggers = table.qualified in context.schema.tables_before_triggers
    if has_triggers or not is_plain or not is_told_plainly:
        return False
    match plan:
        case InsertPlan():
            return not is_merge(plan)  # a merge has rows to lock first
        case UpdatePlan():
            return bool(plan.columns) and not _is_followed(plan)
        case DeletePlan():
            return not any(key.on_delete in _CHANGES_CHILDREN for key in table.foreign_keys_in)


def _is_followed(plan: UpdatePlan) -> bool:
    acting = [key for key in plan.table.foreign_keys_in if key.on_update in _CHANGES_CHILDREN]
    changed = plan.table.generated.union(column.name for column in plan.columns) if acting else frozenset()
    return any(not changed.isdisjoint(key.ref_columns) for key in acting)


async def write_fast(context: WriteContext, plan: WritePlan) -> WriteOutcome | None:
    """None when it takes the long way after all; nothing is under way then.

    `plan` may be another one of the same shape: the values are those in `context`.
    """
    counting = [] if context.baseline is None else [OWN_NAMES, COUNT_CHANGES]
    settling = context.deferred_check() if counting else []
    opening = [BEGIN, *counting, *context.settings]
    asked = [] if _has_note(context, _LOGIN_READS) else [AS_OWNER, _read_as_login(plan.table)]
    witness = ReturningSpec(
        partial(list_image, plan.table), context.max_rows + 1 if context.max_rows is not None else None
    )
    build = partial(returning_write_sql, plan=plan, witness=witness)
    write = context.write(("at once", witness.limit), build)
    check = table_check(plan.table.qualified, TRANSACTION_FACTS)
    try:
        answers = await context.connection.run([*opening, write, FINISH, check, *asked, *settling, *counting])
    except DatabaseError as error:
        if error.sqlstate != _INSUFFICIENT_PRIVILEGE:
            raise
        _note(context, _slow_path_key(context))
        outcome = None
    else:
        _note(context, _LOGIN_READS)
        oid, stamp, *facts = next(iter(answers[len(opening) + 2].rows), (None, None))
        await require_current(context, plan.table, oid, stamp)
        outcome = _make_outcome(context, plan, read_write_images(plan, witness.limit, answers[len(opening)], facts))
        if counting and outcome is not None:
            check_nothing_deferred(answers[-len(settling) - len(counting) : -len(counting)])
            outcome = _count(context, plan, outcome, answers[len(counting)], answers[-1])
    if outcome is None:
        await context.connection.run([ROLLBACK])
    return outcome


def _make_outcome(context: WriteContext, plan: WritePlan, witnessed: WriteImages) -> WriteOutcome | None:
    if not witnessed.is_canonical:
        _note(context, _slow_path_key(context))
        return None
    written = len(witnessed.rows)
    is_update, is_limited = isinstance(plan, UpdatePlan), isinstance(plan, DeletePlan) and context.max_rows is not None
    if (is_update or is_limited) and not written and witnessed.touched:
        return None  # what was found was gone when its turn came
    if is_limited and not written and not context.sees_all(plan.table):
        return None  # perhaps rows were found that the caller may see and not delete
    context.check_row_limit(max(witnessed.found, written))
    if (is_update or is_limited) and witnessed.found != written:
        return None  # somebody changed a key meanwhile, or some of them may not be deleted
    changes, updated = tuple(_list_changes(plan, witnessed)), written if is_update else 0
    tracked = (TrackedRows(plan.table, updated, frozenset()),)
    return WriteOutcome(witnessed.result, changes, witnessed.xid, tracked=tracked, is_checked=True)


def _count(
    context: WriteContext, plan: WritePlan, outcome: WriteOutcome, before: Rows, after: Rows
) -> WriteOutcome | None:
    """None where code wrote to the same table: then the rows may not be as they were told."""
    counts = subtract_counts(read_counts(after, context.schema), read_counts(before, context.schema))
    uncaptured = find_uncaptured(counts, outcome.changes, outcome.tracked)
    if plan.table.qualified in uncaptured:
        return None
    check_uncaptured(context, len(outcome.changes), uncaptured)
    return replace(outcome, unseen=list_uncaptured(uncaptured))


def _list_changes(plan: WritePlan, witnessed: WriteImages) -> list[RowChange]:
    table = plan.table
    named = frozenset(column.name for column in plan.columns) if isinstance(plan, UpdatePlan) else None
    return compact(
        [
            make_change(
                table,
                None if before is None else read_image(table, before),
                None if after is None else read_image(table, after),
                set_columns=named,
            )
            for before, after in witnessed.rows
        ]
    )


def _read_as_login(table: Table) -> Statement:
    """What the connection's own role cannot read whole it could not take back; the long way says so."""
    return Statement(f"SELECT 1 FROM {quote_name(table.qualified)} LIMIT 0 FOR UPDATE")


# Found out once for a shape and a snapshot ---------------------------------------------------------------

_LOGIN_READS, _FITS = "login reads", "fits"


def _slow_path_key(context: WriteContext) -> Hashable:
    return ("unfit", context.role)


def _has_note(context: WriteContext, note: Hashable) -> bool:
    return context.template is not None and note in context.template.notes


def _note(context: WriteContext, note: Hashable) -> None:
    if context.template is not None:
        context.template.notes.add(note)
