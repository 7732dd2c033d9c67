"""The usual write in one round trip: nothing follows in its wake, no trigger fires, and nothing hides rows.

The statements are the same as on the long way, and so is their order. What the long way carries from one answer into
the next statement, the keys of the rows that are locked or written, stays in the transaction here, as a setting.
"""

import secrets
from collections.abc import Sequence

from basewarden.gateway.capture.images import (
    ALIAS,
    AS_OWNER,
    BEGIN,
    by_identity,
    lock_images,
    read_images,
    select_told,
)
from basewarden.gateway.capture.snapshot import CHECK, require_current
from basewarden.gateway.capture.targets import select_targets
from basewarden.gateway.capture.write import (
    FINISH,
    READ_XID,
    WriteContext,
    WriteOutcome,
    as_caller_again,
    compact,
    is_merge,
    make_change,
    read_xid,
)
from basewarden.gateway.errors import CaptureBlind, CaptureRaced
from basewarden.pgrest import (
    Builder,
    DatabaseError,
    DeletePlan,
    InsertPlan,
    KeysInSetting,
    Rows,
    Statement,
    Table,
    UpdatePlan,
    build_statement,
    key_columns,
    read_result,
    where_sql,
)

_SETTING = f"basewarden.k{secrets.token_hex(8)}"  # a name that no function of the database's knows
_INSUFFICIENT_PRIVILEGE = "42501"
_CHANGES_CHILDREN = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


def can_change_at_once(context: WriteContext, plan: UpdatePlan | DeletePlan) -> bool:
    table = plan.table
    if not _is_plain(context, table) or not context.sees_all(table):
        return False
    if isinstance(plan, DeletePlan):
        return not any(key.on_delete in _CHANGES_CHILDREN for key in table.foreign_keys_in)
    named = frozenset(column.name for column in plan.columns)
    follows = any(
        key.on_update in _CHANGES_CHILDREN and not named.isdisjoint(key.ref_columns) for key in table.foreign_keys_in
    )
    return not follows and named.isdisjoint(table.key)


def can_insert_at_once(context: WriteContext, plan: InsertPlan) -> bool:
    """A merge has rows to lock first."""
    return _is_plain(context, plan.table) and not is_merge(plan)


def _is_plain(context: WriteContext, table: Table) -> bool:
    return bool(table.key) and table.kind == "table" and context.traces is None and context.can_tell_keys(table)


async def change_at_once(context: WriteContext, plan: UpdatePlan | DeletePlan) -> WriteOutcome:
    table = plan.table
    opening = [BEGIN, *context.settings]
    if context.role is not None:
        opening.append(select_targets(plan, key_columns(table), 0))
    statements = [
        *opening,
        AS_OWNER,
        _lock(context, plan),
        as_caller_again(context),
        build_statement(plan, keys=KeysInSetting(_SETTING)),
    ]
    answers = await _run(context, statements, owners=range(len(opening), len(opening) + 2), table=table)
    locked, written = answers[len(opening) + 1], answers[len(statements) - 1]
    before = read_images(table, locked)
    context.check_row_limit(len(before))
    result = read_result(plan, written)
    found = by_identity(table, answers[-3])
    known = {row.identity for row in before}
    if not found.keys() <= known or (isinstance(plan, UpdatePlan) and len(found) < len(known)):
        raise CaptureRaced
    named = frozenset(column.name for column in plan.columns) if isinstance(plan, UpdatePlan) else None
    changes = compact([make_change(table, row, found.get(row.identity), set_columns=named) for row in before])
    return WriteOutcome(result, tuple(changes), read_xid(answers[-2]), is_checked=True)


async def insert_at_once(context: WriteContext, plan: InsertPlan) -> WriteOutcome:
    table = plan.table
    statements = [BEGIN, *context.settings, build_statement(plan, report_keys=True, tell=_SETTING)]
    answers = await _run(context, statements, owners=range(0), table=table)
    result = read_result(plan, answers[len(statements) - 1])
    written = read_images(table, answers[-3])
    context.check_row_limit(len(written))
    if len(written) != len(result.keys or ()):
        raise CaptureRaced
    changes = compact([make_change(table, None, row) for row in written])
    return WriteOutcome(result, tuple(changes), read_xid(answers[-2]), is_checked=True)


def _lock(context: WriteContext, plan: UpdatePlan | DeletePlan) -> Statement:
    builder = Builder()
    limit = context.max_rows + 1 if context.max_rows is not None else None
    rest = f" WHERE {where_sql(builder, plan, ALIAS)}"
    return lock_images(builder, plan.table, rest, _SETTING, limit=limit)


async def _run(context: WriteContext, statements: Sequence[Statement], *, owners: range, table: Table) -> list[Rows]:
    """The caller's statements, then what becomes of the rows, the transaction's id and whether the snapshot holds.

    `owners` are the places of the statements before it that the connection's own role runs.
    """
    tail = [FINISH, AS_OWNER, select_told(table, _SETTING), READ_XID, CHECK]
    try:
        answers = await context.connection.run([*statements, *tail])
    except DatabaseError as error:
        is_owners = error.at in owners or error.at > len(statements)
        if error.sqlstate == _INSUFFICIENT_PRIVILEGE and is_owners:
            raise CaptureBlind from error
        raise
    await require_current(context, table, answers[-1])
    return answers
