"""Resolves the tables and rows that the paths of the data pages name."""

from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Query
from starlette.requests import Request

from basewarden.core.addresses import decode_row, decode_table, table_path
from basewarden.errors import NotFound
from basewarden.workspace.table_client import Key, TableClientDep
from pgrest import Table

MAX_ROWS = 250


class TableRedirect(Exception):
    """The path names a table without its schema; `path` is the page of that table."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


async def find_table(request: Request, connection_id: str, table: str, client: TableClientDep) -> Table:
    """Finds the table that a path names. Raises TableRedirect if a page's path lacks the schema."""
    name = decode_table(table)
    found = client.schema.find_table(*name) if name else None
    if found is not None:
        return found
    meant = _find_by_name(client, unquote(table)) if name is None and request.method == "GET" else None
    if meant is not None:
        raise TableRedirect(table_path(connection_id, *meant.qualified))
    raise NotFound(
        "This table does not exist, or its schema is not exposed.",
        hint="A table's path is its schema and its name, such as public.orders.",
    )


def _find_by_name(client: TableClientDep, name: str) -> Table | None:
    """Finds a table by name in the first exposed schema that has one."""
    found = (client.schema.find_table(schema, name) for schema in client.schema.exposed)
    return next((table for table in found if table is not None), None)


TableDep = Annotated[Table, Depends(find_table)]


async def read_key(key: str, table: TableDep) -> Key:
    parts = decode_row(key)
    if not table.key or len(parts) != len(table.key):
        raise NotFound("There is no such row.")
    return parts


async def read_keys(table: TableDep, key: Annotated[list[str] | None, Query(max_length=MAX_ROWS)] = None) -> list[Key]:
    key = key or []
    return [await read_key(one, table) for one in key]


KeyDep = Annotated[Key, Depends(read_key)]
KeysDep = Annotated[list[Key], Depends(read_keys)]
