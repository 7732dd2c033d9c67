"""One cell of the grid, as htmx swaps it: shown, edited, saved."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Editor, Membership
from basewarden.core.addresses import row_path
from basewarden.errors import AppError, Forbidden, NotFound
from basewarden.pgrest import Column, Table
from basewarden.web import Pages
from basewarden.workspace.columns import view_column
from basewarden.workspace.conditions import is_row
from basewarden.workspace.desk import Desk, Key, TheDesk
from basewarden.workspace.edits import ChangedMeanwhile, change_row, list_refusals
from basewarden.workspace.fields import read_change, write_before
from basewarden.workspace.grid import Cell, cell_href, make_row, may_edit, read_labelled
from basewarden.workspace.paths import TheKey, TheTable
from basewarden.workspace.references import list_references
from basewarden.workspace.table_pages import ThePages
from basewarden.workspace.trouble import DataRoute

router = APIRouter(prefix="/c/{connection_id}/data/{table}/{key}", route_class=DataRoute, include_in_schema=False)


async def find_editable(column: str, member: Editor, table: TheTable) -> Column:
    found = table.columns.get(column)
    if found is None:
        raise NotFound
    if not may_edit(member, table) or not view_column(table, found, may_edit=True).editable:
        raise Forbidden("This column cannot be changed here.")
    return found


TheColumn = Annotated[Column, Depends(find_editable)]


@router.get("/cell")
async def get_cell(
    request: Request,
    member: Editor,
    table: TheTable,
    key: TheKey,
    column: TheColumn,
    desk: TheDesk,
    pages: ThePages,
    edit: bool = False,  # noqa: FBT001, FBT002 -- a flag of the address
) -> Response:
    cell = await _read_cell(desk, member, table, key, column)
    if cell is None:
        raise NotFound("This row was deleted meanwhile.")
    if edit:
        return _show_editor(request, member, table, key, column, pages, cell.value, cell.value)
    return _show_cell(request, table, column, cell, pages)


@router.post("/cell")
async def post_cell(
    request: Request, member: Editor, table: TheTable, key: TheKey, column: TheColumn, desk: TheDesk, pages: ThePages
) -> Response:
    """What was typed stays when it is refused; the second try starts from what is there now."""
    async with request.form(max_files=0) as form:
        change = read_change(form)
    try:
        if change.after != change.before:
            await change_row(desk, table, key, {column.name: change})
    except AppError as error:
        before, text = _explain(error, column.name, change.before)
        return _show_editor(request, member, table, key, column, pages, change.after, before, text)
    cell = await _read_cell(desk, member, table, key, column)
    if cell is None:
        raise NotFound("This row was deleted meanwhile.")
    return _show_cell(request, table, column, cell, pages)


def _explain(error: AppError, column: str, before: str | None) -> tuple[str | None, str]:
    if isinstance(error, ChangedMeanwhile) and error.now is not None:
        now = error.now[column]
        shown = "null" if now is None else now or "empty text"
        return now, f"Changed meanwhile: now {shown}. Save again to put yours in its place."
    return before, " ".join(list_refusals(error).values())


async def _read_cell(desk: Desk, member: Membership, table: Table, key: Key, column: Column) -> Cell | None:
    references = [item for item in list_references(desk.schema, table) if item.shown_at == column.name]
    where = [condition.as_parameter() for condition in is_row(table.key, key)]
    found = await read_labelled(desk, table, [column], references, where)
    if not found.rows:
        return None
    return make_row(member, table, [column], references, found.rows[0], edits=True).cells[0]


def _show_cell(request: Request, table: Table, column: Column, cell: Cell, pages: Pages) -> Response:
    return pages.render(request, "workspace/cell.html", column=view_column(table, column, may_edit=True), cell=cell)


def _show_editor(
    request: Request,
    member: Membership,
    table: Table,
    key: Key,
    column: Column,
    pages: Pages,
    value: str | None,
    before: str | None,
    error: str | None = None,
) -> Response:
    row = row_path(member.connection.id, *table.qualified, key)
    return pages.render(
        request,
        "workspace/cell_editor.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        column=view_column(table, column, may_edit=True),
        value=value,
        before=write_before(before),
        href=cell_href(row, column.name),
        error=error,
    )
