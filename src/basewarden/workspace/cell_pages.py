"""One cell of the grid, which htmx swaps to show, edit and save it; and a long value as a file."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from basewarden.connections import Editor, Membership, Viewer
from basewarden.core.addresses import row_path, table_path
from basewarden.errors import AppError, Forbidden, NotFound
from basewarden.web import Pages, PagesDep, Reading
from basewarden.workspace.columns import choose_pinned, list_shown_columns, view_column
from basewarden.workspace.conditions import is_row
from basewarden.workspace.edits import Change, EditConflict, change_row, list_refusals
from basewarden.workspace.error_pages import DataRoute
from basewarden.workspace.fields import read_change, write_before
from basewarden.workspace.grid import GridRow, can_edit, cell_href, make_row, read_labelled
from basewarden.workspace.paths import KeyDep, TableDep
from basewarden.workspace.references import list_references, read_choices
from basewarden.workspace.table_client import Key, TableClient, TableClientDep, select_texts
from basewarden.workspace.toasts import find_back_path, make_write_toast
from basewarden.workspace.truncation import MAX_IN_EDITOR, limit_grid, truncate
from pgrest import Column, Table, TextLimit

router = APIRouter(prefix="/c/{connection_id}/data/{table}/{key}", route_class=DataRoute, include_in_schema=False)

_DELETED = "This row was deleted."


async def find_editable(column: str, member: Editor, table: TableDep) -> Column:
    found = table.columns.get(column)
    if found is None:
        raise NotFound
    if not can_edit(member, table) or not view_column(table, found, can_edit=True).editable:
        raise Forbidden("This column cannot be changed here.")
    return found


ColumnDep = Annotated[Column, Depends(find_editable)]


@router.get("/value")
async def get_value(column: str, _: Viewer, table: TableDep, key: KeyDep, client: TableClientDep) -> Response:
    """Downloads a value that pages truncate."""
    if column not in table.columns:
        raise NotFound
    row = await client.find_row(table, key, select_texts([column]))
    if row is None:
        raise NotFound(_DELETED)
    headers = {"content-disposition": 'attachment; filename="value.txt"'}
    return PlainTextResponse("" if row[column] is None else row[column], headers=headers)


@router.get("/cell")
async def get_cell(
    request: Request,
    member: Editor,
    table: TableDep,
    key: KeyDep,
    column: ColumnDep,
    client: TableClientDep,
    pages: PagesDep,
    edit: bool = False,  # noqa: FBT001, FBT002 -- a flag of the address
) -> Response:
    if edit:
        value = await _read_editable(client, table, key, column)
        choices = await _read_choices(client, table, column)
        return _show_editor(request, member, table, key, column, pages, value, value, choices)
    row = await _read_row(client, member, table, key, [column])
    return pages.render(
        request,
        "workspace/cell.html",
        column=view_column(table, column, can_edit=True, is_pinned=column.name == choose_pinned(table)),
        cell=row.cells[0],
    )


@router.post("/cell")
async def post_cell(
    request: Request,
    member: Editor,
    table: TableDep,
    key: KeyDep,
    column: ColumnDep,
    client: TableClientDep,
    db: Reading,
    pages: PagesDep,
) -> Response:
    """Saves a cell and renders the whole row, because a write may change other columns too, and the toast of the write.

    After an error the editor keeps the typed value, now based on the current one.
    """
    async with request.form(max_files=0, max_fields=10_000) as form:
        change = read_change(form)
        columns = _list_shown(table, form)
    try:
        if change.after != change.before:
            await change_row(client, table, key, {column.name: change})
    except AppError as error:
        before, text = _explain(error, table, column.name, change)
        choices = await _read_choices(client, table, column)
        return _show_editor(request, member, table, key, column, pages, change.after, before, choices, text)
    row = await _read_row(client, member, table, key, columns)
    pinned = choose_pinned(table)
    views = [view_column(table, shown, can_edit=True, is_pinned=shown.name == pinned) for shown in columns]
    toast = None
    if client.last_write is not None:
        here = find_back_path(request, member, table_path(member.connection.id, *table.qualified))
        toast = await make_write_toast(member, client, db, client.last_write, here)
    return pages.render(request, "workspace/grid_row.html", columns=views, row=row, toasts=[toast] if toast else [])


def _list_shown(table: Table, form: FormData) -> list[Column]:
    """Lists the columns that the grid shows, by its form; none = all."""
    wanted = [name for name in form.getlist("columns") if isinstance(name, str) and name in table.columns]
    return list_shown_columns(table, wanted)


def _explain(error: AppError, table: Table, column: str, change: Change) -> tuple[str | None, str]:
    if isinstance(error, EditConflict) and error.now is not None:
        now = error.now[column]
        shown = "null" if now is None else now[:200] or "empty string"
        return now, f"Another write changed this value to {shown}. Save again to replace it with yours."
    return change.before, " ".join(dict.fromkeys(list_refusals(error, table, {column: change.after}).values()))


async def _read_editable(client: TableClient, table: Table, key: Key, column: Column) -> str | None:
    """Reads the whole value. Raises Forbidden if it is too long to edit on a page."""
    limit = TextLimit(MAX_IN_EDITOR + 1)
    row = await client.find_row(table, key, select_texts([column.name]), text_limit=limit)
    if row is None:
        raise NotFound(_DELETED)
    value, is_cut = truncate(row[column.name], column.name, limit)
    if is_cut:
        raise Forbidden(f"This value is too long to edit here: more than {MAX_IN_EDITOR:,} characters.")
    return value


async def _read_choices(client: TableClient, table: Table, column: Column) -> Sequence[tuple[str, str]]:
    """Lists the rows that the column can refer to, as (key, label); none where they are too many to choose from."""
    references = [one for one in list_references(client.schema, table) if one.shown_at == column.name]
    return (await read_choices(client, references)).get(column.name, ())


async def _read_row(
    client: TableClient, member: Membership, table: Table, key: Key, columns: Sequence[Column]
) -> GridRow:
    names = {column.name for column in columns}
    references = [item for item in list_references(client.schema, table) if item.shown_at in names]
    where = [condition.as_parameter() for condition in is_row(table.key, key)]
    limit = limit_grid(table, references, len(columns))
    found = await read_labelled(client, table, columns, references, where, limit)
    if not found.rows:
        raise NotFound(_DELETED)
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
    choices: Sequence[tuple[str, str]],
    error: str | None = None,
) -> Response:
    """Renders the editor; with an error it replaces the cell, although the form expects its row."""
    row = row_path(member.connection.id, *table.qualified, key)
    page = pages.render(
        request,
        "workspace/cell_editor.html",
        status=HTTPStatus.OK if error is None else HTTPStatus.UNPROCESSABLE_ENTITY,
        column=view_column(table, column, can_edit=True),
        value=value,
        before=write_before(before),
        choices=choices,
        href=cell_href(row, column.name),
        error=error,
    )
    if error is not None:
        page.headers["HX-Retarget"] = "closest td"
    return page
