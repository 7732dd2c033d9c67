"""Tables, and rows by their label or number."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from basewarden.core.addresses import row_path, table_path
from basewarden.core.row_labels import LABEL_NAMES
from basewarden.errors import AppError
from basewarden.gateway import choose_label
from basewarden.workspace.conditions import Parameter, any_of, contains, equals
from basewarden.workspace.palette.items import MAX_PER_GROUP, PaletteGroup, PaletteItem
from basewarden.workspace.table_client import Key, TableClient, key_of, select_texts
from basewarden.workspace.tables import search_tables
from pgrest import Table

TABLES_SEARCHED = 8
ROWS_PER_TABLE = 5
_LONGEST_KEY = 12
ROW_SECONDS = 0.8
MAX_ROWS = 3 * MAX_PER_GROUP


def list_tables(client: TableClient, connection_id: UUID, used: Sequence[str]) -> PaletteGroup:
    """First those that are `used`, in that order. Leaves the schema out of the names where there is only one."""
    place = {name: number for number, name in reversed(list(enumerate(used)))}
    tables = sorted(search_tables(client, ""), key=lambda table: place.get(table.name, len(used)))
    has_one_schema = len({table.schema for table in tables}) == 1
    return PaletteGroup("Tables", [_describe_table(table, connection_id, short=has_one_schema) for table in tables])


def _describe_table(table: Table, connection_id: UUID, *, short: bool) -> PaletteItem:
    name = table.name if short else ".".join(table.qualified)
    return PaletteItem(name, table_path(connection_id, *table.qualified), "table", None, ".".join(table.qualified))


@dataclass(frozen=True, slots=True)
class RowMatches:
    """`is_complete` = every table answered; a project that was just connected may need a second search."""

    items: Sequence[PaletteItem]
    is_complete: bool

    @property
    def groups(self) -> list[PaletteGroup]:
        return [PaletteGroup("Rows", self.items)] if self.items else []


async def find_rows(client: TableClient, connection_id: UUID, text: str) -> RowMatches:
    """Searches a few tables, base tables first, with a short timeout; a table that is slow or fails is left out."""
    named = [
        (table, label)
        for table in sorted(search_tables(client, ""), key=lambda table: table.is_view)
        if table.key and (label := choose_label(table)) in LABEL_NAMES
    ]
    found = await asyncio.gather(
        _find_by_key(client, connection_id, text),
        *(_find_in(client, connection_id, table, label, text) for table, label in named[:TABLES_SEARCHED]),
    )
    places = [place for places in found if places is not None for place in places]
    unique = list({place.href: place for place in places}.values())
    return RowMatches(unique[:MAX_ROWS], is_complete=None not in found)


async def _find_by_key(client: TableClient, connection_id: UUID, text: str) -> Sequence[PaletteItem] | None:
    """Finds the row that a table's name and a key name: "products 7"."""
    name, _, key = text.partition(" ")
    tables = [one for one in search_tables(client, name) if one.name.lower() == name.lower() and len(one.key) == 1]
    if not key.strip() or not tables:
        return []
    label = choose_label(tables[0]) or tables[0].key[0]
    return await _read_items(
        client, connection_id, tables[0], label, equals(tables[0].key[0], key.strip()).as_parameter()
    )


async def _find_in(
    client: TableClient, connection_id: UUID, table: Table, label: str, text: str
) -> Sequence[PaletteItem] | None:
    conditions = [contains(label, text)]
    if len(table.key) == 1 and table.columns[table.key[0]].category == "N" and text.isascii() and text.isdigit():
        conditions.append(equals(table.key[0], text))
    found = await _read_items(client, connection_id, table, label, any_of(conditions))
    if found is None or len(found) <= ROWS_PER_TABLE:
        return found
    return [*found[:ROWS_PER_TABLE], _make_all(connection_id, table, label, text)]


def _make_all(connection_id: UUID, table: Table, label: str, text: str) -> PaletteItem:
    """Leads to the grid with all rows that have the text, of which the palette lists the first."""
    query = urlencode({"column": label, "operator": "contains", "value": text})
    href = f"{table_path(connection_id, *table.qualified)}?{query}"
    return PaletteItem(f"All rows of {table.name} with “{text}”", href, "filter", "more", is_more=True)


async def _read_items(
    client: TableClient, connection_id: UUID, table: Table, label: str, where: Parameter
) -> Sequence[PaletteItem] | None:
    """Reads the first rows and one more; None if the table did not answer in time."""
    select = select_texts(list(dict.fromkeys([*table.key, label])))
    try:
        async with asyncio.timeout(ROW_SECONDS):
            found = await client.read(table, [where, ("select", select), ("limit", str(ROWS_PER_TABLE + 1))])
    except TimeoutError:
        return None
    except AppError:
        return []
    return [
        PaletteItem(
            row[label] or ", ".join(key_of(table, row)),
            row_path(connection_id, *table.qualified, key_of(table, row)),
            "row",
            f"{table.name} {_describe_key(key_of(table, row))}".strip(),
        )
        for row in found.rows
    ]


def _describe_key(key: Key) -> str:
    """A key that says something to people: a number or a short word, but no uuid."""
    text = ", ".join(key)
    return text if len(text) <= _LONGEST_KEY else ""
