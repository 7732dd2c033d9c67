"""`/c/<id>/data`: the list of tables, and a table's grid."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Membership, Viewer
from basewarden.core.addresses import table_path
from basewarden.journal import list_last_writes
from basewarden.web import PagesDep, Reading
from basewarden.workspace.columns import is_writable, list_shown_columns, view_column
from basewarden.workspace.error_pages import DataRoute
from basewarden.workspace.grid import can_edit, load_grid
from basewarden.workspace.grid_view import OPERATORS, SIZES, read_view
from basewarden.workspace.navigation import list_names, list_table_links, make_table_context
from basewarden.workspace.paths import TableDep
from basewarden.workspace.row_counts import MOST_COUNTED, count_tables
from basewarden.workspace.row_text import ROW_FORMATS
from basewarden.workspace.table_client import TableClientDep
from basewarden.workspace.tables import TABLES_PER_PAGE, describe_tables, search_tables
from basewarden.workspace.toasts import read_toasts
from pgrest import Table

router = APIRouter(prefix="/c/{connection_id}/data", route_class=DataRoute, include_in_schema=False)


@router.get("")
async def get_tables(
    request: Request, member: Viewer, client: TableClientDep, db: Reading, pages: PagesDep, q: str = "", page: int = 1
) -> Response:
    found = search_tables(client, q)
    start = (max(page, 1) - 1) * TABLES_PER_PAGE
    shown = found[start : start + TABLES_PER_PAGE]
    return pages.render(
        request,
        "workspace/tables.html",
        tables=await describe_tables(client, member.connection.id, shown),
        last_writes=await list_last_writes(db, member.connection.id),
        total=len(found),
        all_tables=len(found) if not q else len(search_tables(client, "")),
        start=start,
        page=max(page, 1),
        per_page=TABLES_PER_PAGE,
        query=q,
        schemas=client.schema.exposed,
    )


@router.get("/+counts")
async def get_counts(request: Request, member: Viewer, client: TableClientDep, pages: PagesDep) -> Response:
    """Counts the rows of the tables beside a grid, each for its place in that list."""
    await count_tables(client, [client.schema.tables[name] for name in list_names(client)[:MOST_COUNTED]])
    navigation = list_table_links(client, member.connection.id)
    return pages.render(request, "workspace/counts.html", links=navigation.links[:MOST_COUNTED])


_ROWS_ID, _CONTENT_ID = "rows", "content"
"""The element that sorting, filters and paging replace, and the one that a link to another table replaces."""


@router.get("/{table}")
async def get_grid(
    request: Request, member: Viewer, table: TableDep, client: TableClientDep, db: Reading, pages: PagesDep
) -> Response:
    here = table_path(member.connection.id, *table.qualified)
    view = read_view(here, table, request.query_params)
    grid = await load_grid(client, member, table, view)
    wanted = request.headers.get("hx-target")
    is_link = "hx-boosted" in request.headers  # an undo replaces the content too, and needs the toasts beside it
    return pages.render(
        request,
        "workspace/grid.html",
        frame="workspace/rows.html" if wanted == _ROWS_ID else "workspace/data.html",
        outer="content.html" if is_link and wanted == _CONTENT_ID else "shell.html",
        **make_table_context(client, member.connection.id, table),
        view=view,
        grid=grid,
        all_columns=[view_column(table, column) for column in list_shown_columns(table)],
        operators=[(code, operator.words) for code, operator in OPERATORS.items()],
        sizes=SIZES,
        row_formats=[(key, one.name) for key, one in ROW_FORMATS.items()],
        can_edit=can_edit(member, table),
        read_only_reason=explain_read_only(member, table),
        deleted=_read_deleted(request),
        toasts=await read_toasts(request, member, client, db),
    )


def _read_deleted(request: Request) -> int:
    """How many rows a delete has just removed; it is part of the address that the delete leads to."""
    given = request.query_params.get("deleted", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0


def explain_read_only(member: Membership, table: Table) -> str | None:
    if table.kind not in ("table", "partitioned"):
        return "This is a view. Change its rows in the tables that it reads from."
    if not is_writable(table):
        return "This table has no primary key, so its rows are read-only."
    return None if can_edit(member, table) else "You are a viewer of this connection, so you cannot change rows."
