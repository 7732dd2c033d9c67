"""Locking the rows that an update or delete is about to touch, and keeping them as they are."""

from collections.abc import Sequence

from basewarden.gateway.capture.images import (
    ALIAS,
    Located,
    read_images,
    run_as_owner,
    select_by_columns,
    select_images,
)
from basewarden.gateway.capture.write import WriteContext, open_transaction
from basewarden.pgrest import (
    Builder,
    DeletePlan,
    Statement,
    UpdatePlan,
    key_columns,
    quote_column,
    quote_name,
    where_sql,
)


async def lock_targets(context: WriteContext, plan: UpdatePlan | DeletePlan) -> list[Located]:
    """Opens the transaction. Raises RowLimit before anything is written."""
    limit = context.max_rows + 1 if context.max_rows is not None else None
    if context.sees_all(plan.table):
        rows = await _lock_as_owner(context, plan, limit)
    else:
        rows = await _lock_as_caller(context, plan, limit)
    context.check_row_limit(len(rows))
    return rows


async def _lock_as_owner(context: WriteContext, plan: UpdatePlan | DeletePlan, limit: int | None) -> list[Located]:
    """Nothing hides rows from the caller, so whoever evaluates the filter finds the same.

    Another role first asks for no rows: what it may not ask must not be answered by a row limit or a lock.
    """
    builder = Builder()
    rest = f" WHERE {where_sql(builder, plan, ALIAS)}"
    statement = select_images(builder, plan.table, rest, lock=True, limit=limit)
    opening = await open_transaction(context)
    if context.role is not None:
        await context.connection.run([*opening, *context.settings, select_targets(plan, key_columns(plan.table), 0)])
        opening = []
    (rows,) = await run_as_owner(context.connection, [statement], opening=opening)
    return read_images(plan.table, rows)


async def _lock_as_caller(context: WriteContext, plan: UpdatePlan | DeletePlan, limit: int | None) -> list[Located]:
    """The caller's own policies decide which rows it finds; the connection's role then locks and reads them."""
    opening = await open_transaction(context)
    columns = key_columns(plan.table) if context.can_tell_keys(plan.table) else ("tableoid", "ctid")
    *_, rows = await context.connection.run([*opening, *context.settings, select_targets(plan, columns, limit)])
    identities = [tuple((value or b"").decode() for value in row) for row in rows.rows]
    if not identities:
        return []
    (found,) = await run_as_owner(context.connection, [select_by_columns(plan.table, columns, identities, lock=True)])
    return read_images(plan.table, found)


def select_targets(plan: UpdatePlan | DeletePlan, columns: Sequence[str], limit: int | None) -> Statement:
    """Which rows the caller means, as the caller."""
    builder = Builder()
    shown = ", ".join(f"{quote_column(ALIAS, name)}::text" for name in columns)
    where = where_sql(builder, plan, ALIAS)
    tail = f" LIMIT {int(limit)}" if limit is not None else ""
    return builder.statement(f"SELECT {shown} FROM {quote_name(plan.table.qualified)} AS {ALIAS} WHERE {where}{tail}")
