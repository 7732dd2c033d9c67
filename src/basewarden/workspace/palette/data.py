"""Tables, and rows by their label or number."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from basewarden.core.addresses import row_path, table_path
from basewarden.core.row_labels import LABEL_NAMES
from basewarden.errors import AppError
from basewarden.gateway import choose_label
from basewarden.workspace.conditions import any_of, contains, equals
from basewarden.workspace.palette.items import MAX_PER_GROUP, PaletteGroup, PaletteItem
from basewarden.workspace.table_client import TableClient, key_of, select_texts
from basewarden.workspace.tables import search_tables
from pgrest import Table

TABLES_SEARCHED = 6
ROWS_PER_TABLE = 4
ROW_SECONDS = 0.8


def list_tables(client: TableClient, connection_id: UUID) -> PaletteGroup:
    """Leaves the schema out of the names where there is only one."""
    tables = search_tables(client, "")
    has_one_schema = len({table.schema for table in tables}) == 1
    return PaletteGroup("Tables", [_describe_table(table, connection_id, short=has_one_schema) for table in tables])


def _describe_table(table: Table, connection_id: UUID, *, short: bool) -> PaletteItem:
    name = table.name if short else ".".join(table.qualified)
    return PaletteItem(name, table_path(connection_id, *table.qualified), "table", None, ".".join(table.qualified))


async def find_rows(client: TableClient, connection_id: UUID, text: str) -> PaletteGroup:
    """Searches a few tables with a short timeout; a table that is slow or fails is left out."""
    named = [
        (table, label)
        for table in search_tables(client, "")
        if table.key and (label := choose_label(table)) in LABEL_NAMES
    ]
    found = await asyncio.gather(
        *(_find_in(client, connection_id, table, label, text) for table, label in named[:TABLES_SEARCHED])
    )
    return PaletteGroup("Rows", [place for places in found for place in places][: 2 * MAX_PER_GROUP])


async def _find_in(
    client: TableClient, connection_id: UUID, table: Table, label: str, text: str
) -> Sequence[PaletteItem]:
    conditions = [contains(label, text)]
    if len(table.key) == 1 and table.columns[table.key[0]].category == "N" and text.isascii() and text.isdigit():
        conditions.append(equals(table.key[0], text))
    select = select_texts(list(dict.fromkeys([*table.key, label])))
    parameters = [any_of(conditions), ("select", select), ("limit", str(ROWS_PER_TABLE))]
    try:
        async with asyncio.timeout(ROW_SECONDS):
            found = await client.read(table, parameters)
    except (AppError, TimeoutError):
        return []
    return [
        PaletteItem(
            row[label] or ", ".join(key_of(table, row)),
            row_path(connection_id, *table.qualified, key_of(table, row)),
            "list",
            f"{table.name} {', '.join(key_of(table, row))}",
        )
        for row in found.rows
    ]
