"""The rows before and after a row, in the order of the key."""

import asyncio
from collections.abc import Sequence

from basewarden.core.addresses import row_path
from basewarden.errors import AppError
from basewarden.workspace.columns import is_sortable
from basewarden.workspace.conditions import Condition, quote
from basewarden.workspace.table_client import Key, TableClient, key_of, select_texts
from pgrest import Table


async def find_neighbours(client: TableClient, connection_id: object, table: Table, key: Key) -> Sequence[str | None]:
    """The addresses of the previous and the next row; None where there is none, or the key has several columns."""
    if len(key) != 1 or not is_sortable(table.columns[table.key[0]]):
        return (None, None)
    return await asyncio.gather(
        _find(client, connection_id, table, Condition(table.key[0], "lt", key[0]), "desc"),
        _find(client, connection_id, table, Condition(table.key[0], "gt", key[0]), "asc"),
    )


async def _find(client: TableClient, connection_id: object, table: Table, beyond: Condition, order: str) -> str | None:
    page = [("order", f"{quote(beyond.column)}.{order}"), ("limit", "1"), ("select", select_texts(table.key))]
    try:
        found = await client.read(table, [beyond.as_parameter(), *page])
    except AppError:
        return None
    rows = [row_path(connection_id, table.schema, table.name, key_of(table, row)) for row in found.rows]
    return rows[0] if rows else None
