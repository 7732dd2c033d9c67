"""`/c/<id>/data/<table>/+copy`: chosen rows as text, which the script copies and other browsers save as a file."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import PlainTextResponse, Response

from basewarden.connections import Viewer
from basewarden.errors import Forbidden, NotFound
from basewarden.workspace.columns import list_shown_columns
from basewarden.workspace.conditions import is_any_row
from basewarden.workspace.error_pages import DataRoute
from basewarden.workspace.paths import KeysDep, TableDep
from basewarden.workspace.row_text import ROW_FORMATS
from basewarden.workspace.table_client import TableClientDep, key_of, select_texts
from basewarden.workspace.truncation import limit_copy, list_truncated

router = APIRouter(prefix="/c/{connection_id}/data/{table}", route_class=DataRoute, include_in_schema=False)


@router.get("/+copy")
async def get_copy(
    _: Viewer,
    table: TableDep,
    keys: KeysDep,
    client: TableClientDep,
    form: Annotated[str, Query(alias="as")] = "csv",
    columns: Annotated[list[str] | None, Query(max_length=2000)] = None,
) -> Response:
    """In the order in which the rows were chosen. Values that are too long are refused, not cut."""
    if form not in ROW_FORMATS or not keys:
        raise NotFound("There is nothing to copy. Select rows first.")
    shown = list_shown_columns(table, [name for name in columns or () if name in table.columns])
    names = list(dict.fromkeys([*(column.name for column in shown), *table.key]))
    limit = limit_copy(table, len(keys) * len(names))
    found = await client.read(table, [is_any_row(table.key, keys), ("select", select_texts(names))], text_limit=limit)
    if any(list_truncated(row, names, limit) for row in found.rows):
        raise Forbidden("A value of these rows is too long to copy. Select fewer rows, or show fewer columns.")
    by_key = {key_of(table, row): row for row in found.rows}
    rows = [[by_key[key][column.name] for column in shown] for key in keys if key in by_key]
    chosen = ROW_FORMATS[form]
    headers = {"content-disposition": f'attachment; filename="rows.{chosen.suffix}"'}
    return PlainTextResponse(chosen.write(table.qualified, shown, rows), headers=headers)
