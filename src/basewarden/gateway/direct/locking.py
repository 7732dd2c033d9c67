"""Locking the rows that an update or delete is about to touch, and keeping them as they are."""

from collections.abc import Sequence

from basewarden.gateway.direct.context import WriteContext, open_transaction
from basewarden.gateway.direct.row_images import (
    ALIAS,
    RowImage,
    read_images,
    run_as_owner,
    select_by_columns,
)
from pgrest import (
    Builder,
    DeletePlan,
    Statement,
    UpdatePlan,
    key_columns,
    quote_column,
    quote_name,
    where_sql,
)


async def lock_targets(context: WriteContext, plan: UpdatePlan | DeletePlan) -> list[RowImage]:
    """Opens the transaction. Raises RowLimit before anything is written.

    The caller's own statement finds the rows, whatever its filter calls; the connection's role only locks and reads
    those by their keys.
    """
    limit = context.max_rows + 1 if context.max_rows is not None else None
    opening = await open_transaction(context)
    columns = key_columns(plan.table) if context.can_read_keys(plan.table) else ("tableoid", "ctid")
    *_, rows = await context.connection.run([*opening, *context.settings, select_targets(plan, columns, limit)])
    identities = [tuple((value or b"").decode() for value in row) for row in rows.rows]
    context.check_row_limit(len(identities))
    if not identities:
        return []
    (found,) = await run_as_owner(context.connection, [select_by_columns(plan.table, columns, identities, lock=True)])
    return read_images(plan.table, found)


def select_targets(plan: UpdatePlan | DeletePlan, columns: Sequence[str], limit: int | None) -> Statement:
    """Which rows the caller means, as the caller."""
    builder = Builder()
    shown = ", ".join(f"{quote_column(ALIAS, name)}::pg_catalog.text" for name in columns)
    where = where_sql(builder, plan, ALIAS)
    tail = f" LIMIT {int(limit)}" if limit is not None else ""
    return builder.statement(f"SELECT {shown} FROM {quote_name(plan.table.qualified)} AS {ALIAS} WHERE {where}{tail}")
