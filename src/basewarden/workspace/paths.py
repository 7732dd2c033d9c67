"""What the paths of the data pages name."""

from typing import Annotated

from fastapi import Depends, Query

from basewarden.core.addresses import decode_row, decode_table
from basewarden.errors import NotFound
from basewarden.pgrest import Table
from basewarden.workspace.desk import Key, TheDesk

MAX_ROWS = 250


async def find_table(table: str, desk: TheDesk) -> Table:
    """The table that a path names."""
    name = decode_table(table)
    found = desk.schema.find_table(*name) if name else None
    if found is None:
        raise NotFound("There is no such table here, or it is not in an exposed schema.")
    return found


TheTable = Annotated[Table, Depends(find_table)]


async def read_key(key: str, table: TheTable) -> Key:
    parts = decode_row(key)
    if not table.key or len(parts) != len(table.key):
        raise NotFound("There is no such row.")
    return parts


async def read_keys(table: TheTable, key: Annotated[list[str], Query(max_length=MAX_ROWS)]) -> list[Key]:
    return [await read_key(one, table) for one in key]


TheKey = Annotated[Key, Depends(read_key)]
TheKeys = Annotated[list[Key], Depends(read_keys)]
