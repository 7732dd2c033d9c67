"""The usual write in one round trip: nothing follows in its wake, no trigger fires, and nothing hides rows.

The statements are the same as on the long way, and so is their order. What the long way carries from one answer into
the next statement, the keys of the rows that are locked or written, stays in the transaction here, as a setting.
"""

import secrets
from collections.abc import Sequence
from functools import partial

from basewarden.gateway.capture.images import (
    ALIAS,
    AS_OWNER,
    BEGIN,
    by_identity,
    lock_images_sql,
    read_images,
    told_images_sql,
)
from basewarden.gateway.capture.snapshot import ask_snapshot, require_current
from basewarden.gateway.capture.targets import select_targets
from basewarden.gateway.capture.write import (
    FINISH,
    READ_XID,
    WriteContext,
    WriteOutcome,
    compact,
    is_merge,
    make_change,
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
    key_columns,
    read_result,
    statement_sql,
    where_sql,
)

_SETTING = f"basewarden.k{secrets.token_hex(8)}"  # a name that no function of the database's knows
_INSUFFICIENT_PRIVILEGE = "42501"
# The formats are canonical where a write goes this way, but for two that the server does not tell.
OWNER = {
    "role": "none",
    "row_security": "off",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # a process that was frozen here must not hold the rows' locks for ever
    "idle_in_transaction_session_timeout": "60s",
}
"""What the connection's own role reads rows under."""
_AS_OWNER = Statement("SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in OWNER.items()))
_AS_CALLER = (
    "SELECT set_config('row_security', NULL, true), set_config('bytea_output', NULL, true), "
    "set_config('extra_float_digits', NULL, true), set_config('role', $1, true)"
)
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
    opening = _open(context, plan)
    statements = [
        *opening,
        context.write(("lock", context.max_rows), partial(_lock_sql, context, plan)),
        _as_caller(context.role),
        context.write("change", partial(statement_sql, plan=plan, keys=KeysInSetting(_SETTING))),
        *_see_what_became(context, table),
    ]
    answers = await _run(context, statements, table, locked_at=len(opening))
    _note_right(context)
    before = read_images(table, answers[len(opening)])
    context.check_row_limit(len(before))
    found = by_identity(table, answers[-2])
    known = {row.identity for row in before}
    if not found.keys() <= known or (isinstance(plan, UpdatePlan) and len(found) < len(known)):
        raise CaptureRaced
    named = frozenset(column.name for column in plan.columns) if isinstance(plan, UpdatePlan) else None
    changes = compact([make_change(table, row, found.get(row.identity), set_columns=named) for row in before])
    result = read_result(plan, answers[len(opening) + 2])
    return WriteOutcome(result, tuple(changes), _read_last(answers[len(opening)]), is_checked=True)


async def try_insert_at_once(context: WriteContext, plan: InsertPlan) -> WriteOutcome | None:
    """None where the caller may write rows that it may not read (a contact form): RETURNING was refused."""
    try:
        return await _insert_at_once(context, plan)
    except DatabaseError as error:
        if error.sqlstate != _INSUFFICIENT_PRIVILEGE or plan.returning:
            raise
    return None


async def _insert_at_once(context: WriteContext, plan: InsertPlan) -> WriteOutcome:
    table = plan.table
    insert = context.write("insert", partial(statement_sql, plan=plan, report_keys=True, tell=_SETTING))
    opening = [BEGIN, *context.settings]
    statements = [*opening, insert, READ_XID, *_see_what_became(context, table)]
    answers = await _run(context, statements, table, locked_at=None)
    result = read_result(plan, answers[len(opening)])
    written = read_images(table, answers[-2])
    context.check_row_limit(len(written))
    if len(written) != len(result.keys or ()):
        raise CaptureRaced
    changes = compact([make_change(table, None, row) for row in written])
    return WriteOutcome(result, tuple(changes), _read_last(answers[len(opening) + 1]), is_checked=True)


def _open(context: WriteContext, plan: UpdatePlan | DeletePlan) -> list[Statement]:
    """What comes before the lock, up to the connection's own role.

    Another role is asked first whether it may name these columns at all, once for a snapshot. Should it lose the right
    before the next one, its write is refused all the same, but only after its rows were locked for a moment.
    """
    if context.owner_settings is not None and (context.role is None or _has_right(context)):
        return [BEGIN, context.owner_settings]
    asked = [] if context.role is None else [select_targets(plan, key_columns(plan.table), 0)]
    return [BEGIN, *context.settings, *asked, AS_OWNER]


def _has_right(context: WriteContext) -> bool:
    return context.template is not None and ("right", context.role) in context.template.notes


def _note_right(context: WriteContext) -> None:
    if context.template is not None:
        context.template.notes.add(("right", context.role))


def _lock_sql(context: WriteContext, plan: UpdatePlan | DeletePlan, builder: Builder) -> str:
    limit = context.max_rows + 1 if context.max_rows is not None else None
    return lock_images_sql(plan.table, f" WHERE {where_sql(builder, plan, ALIAS)}", _SETTING, limit=limit)


def _as_caller(role: str | None) -> Statement:
    """All else that the caller's settings are is set already."""
    return Statement(_AS_CALLER, (None if role is None else role.encode(),))


def _see_what_became(context: WriteContext, table: Table) -> list[Statement]:
    see = context.write("see", lambda _: told_images_sql(table, _SETTING))
    return [FINISH, _AS_OWNER, see, ask_snapshot(context, table)]


async def _run(
    context: WriteContext, statements: Sequence[Statement], table: Table, *, locked_at: int | None
) -> list[Rows]:
    """The answers, where the snapshot holds; `locked_at` is the place where the connection's own role locks rows."""
    try:
        answers = await context.connection.run(statements)
    except DatabaseError as error:
        is_owners = error.at == locked_at or error.at >= len(statements) - 2
        if error.sqlstate == _INSUFFICIENT_PRIVILEGE and is_owners:
            raise CaptureBlind from error
        raise
    await require_current(context, table, answers[-1])
    return answers


def _read_last(rows: Rows) -> int:
    """The transaction's id stands at the end of each row."""
    return int(rows.rows[0][-1] or 0)
