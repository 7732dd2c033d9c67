"""One cell of the grid, as htmx swaps it: shown, edited, saved with its row; and a long value as a file."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from basewarden.connections import Editor, Membership, Viewer
from basewarden.core.addresses import row_path
from basewarden.errors import AppError, Forbidden, NotFound
from basewarden.web import Pages, PagesDep
from basewarden.workspace.columns import view_column
from basewarden.workspace.conditions import is_row
from basewarden.workspace.cutting import LONGEST_IN_EDITOR, cut, limit_grid
from basewarden.workspace.desk import Desk, DeskDep, Key, select_texts
from basewarden.workspace.edits import ChangedMeanwhile, change_row, list_refusals
from basewarden.workspace.fields import read_change, write_before
from basewarden.workspace.grid import GridRow, cell_href, make_row, may_edit, read_labelled
from basewarden.workspace.paths import KeyDep, TableDep
from basewarden.workspace.references import list_references
from basewarden.workspace.trouble import DataRoute
from pgrest import Column, Table, TextLimit

router = APIRouter(prefix="/c/{connection_id}/data/{table}/{key}", route_class=DataRoute, include_in_schema=False)

_GONE = "This row was deleted meanwhile."


async def find_editable(column: str, member: Editor, table: TableDep) -> Column:
    found = table.columns.get(column)
    if found is None:
        raise NotFound
    if not may_edit(member, table) or not view_column(table, found, may_edit=True).editable:
        raise Forbidden("This column cannot be changed here.")
    return found


ColumnDep = Annotated[Column, Depends(find_editable)]


@router.get("/value")
async def get_value(column: str, _: Viewer, table: TableDep, key: KeyDep, desk: DeskDep) -> Response:
    """All of a value that a page shows only the beginning of."""
    if column not in table.columns:
        raise NotFound
    row = await desk.find_row(table, key, select_texts([column]))
    if row is None:
        raise NotFound(_GONE)
    headers = {"content-disposition": 'attachment; filename="value.txt"'}
    return PlainTextResponse("" if row[column] is None else row[column], headers=headers)


@router.get("/cell")
async def get_cell(
    request: Request,
    member: Editor,
    table: TableDep,
    key: KeyDep,
    column: ColumnDep,
    desk: DeskDep,
    pages: PagesDep,
    edit: bool = False,  # noqa: FBT001, FBT002 -- a flag of the address
) -> Response:
    if edit:
        value = await _read_editable(desk, table, key, column)
        return _show_editor(request, member, table, key, column, pages, value, value)
    row = await _read_row(desk, member, table, key, [column])
    return pages.render(
        request, "workspace/cell.html", column=view_column(table, column, may_edit=True), cell=row.cells[0]
    )


@router.post("/cell")
async def post_cell(
    request: Request, member: Editor, table: TableDep, key: KeyDep, column: ColumnDep, desk: DeskDep, pages: PagesDep
) -> Response:
    """The whole row as it is now, for a write may change other columns too.

    What was typed stays when it is refused; the second try starts from what is there now.
    """
    async with request.form(max_files=0, max_fields=10_000) as form:
        change = read_change(form)
        columns = _list_shown(table, form)
    try:
        if change.after != change.before:
            await change_row(desk, table, key, {column.name: change})
    except AppError as error:
        before, text = _explain(error, column.name, change.before)
        return _show_editor(request, member, table, key, column, pages, change.after, before, text)
    row = await _read_row(desk, member, table, key, columns)
    views = [view_column(table, shown, may_edit=True) for shown in columns]
    return pages.render(request, "workspace/grid_row.html", columns=views, row=row)


def _list_shown(table: Table, form: FormData) -> list[Column]:
    """The columns that the grid shows, as its form says: none = all."""
    wanted = set(form.getlist("columns"))
    return [column for name, column in table.columns.items() if name in wanted] or list(table.columns.values())


def _explain(error: AppError, column: str, before: str | None) -> tuple[str | None, str]:
    if isinstance(error, ChangedMeanwhile) and error.now is not None:
        now = error.now[column]
        shown = "null" if now is None else now[:200] or "empty text"
        return now, f"Changed meanwhile: now {shown}. Save again to put yours in its place."
    return before, " ".join(list_refusals(error).values())


async def _read_editable(desk: Desk, table: Table, key: Key, column: Column) -> str | None:
    """The whole value. Raises Forbidden where it is too long to be edited in a page."""
    limit = TextLimit(LONGEST_IN_EDITOR + 1)
    row = await desk.find_row(table, key, select_texts([column.name]), text_limit=limit)
    if row is None:
        raise NotFound(_GONE)
    value, is_cut = cut(row[column.name], column.name, limit)
    if is_cut:
        raise Forbidden(f"This value is too long to edit here: more than {LONGEST_IN_EDITOR:,} characters.")
    return value


async def _read_row(desk: Desk, member: Membership, table: Table, key: Key, columns: Sequence[Column]) -> GridRow:
    names = {column.name for column in columns}
    references = [item for item in list_references(desk.schema, table) if item.shown_at in names]
    where = [condition.as_parameter() for condition in is_row(table.key, key)]
    limit = limit_grid(table, references, len(columns))
    found = await read_labelled(desk, table, columns, references, where, limit)
    if not found.rows:
        raise NotFound(_GONE)
    return make_row(member, table, columns, references, found.rows[0], limit, edits=True)


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
    """A refusal takes the place of the cell, though the form waits for its row."""
    row = row_path(member.connection.id, *table.qualified, key)
    page = pages.render(
        request,
        "workspace/cell_editor.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        column=view_column(table, column, may_edit=True),
        value=value,
        before=write_before(before),
        href=cell_href(row, column.name),
        error=error,
    )
    if error is not None:
        page.headers["HX-Retarget"] = "closest td"
    return page
