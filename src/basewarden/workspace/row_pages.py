"""One row: its values, references and history; adding, editing and deleting rows."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from basewarden.connections import Editor, Environment, Membership, Viewer
from basewarden.core.addresses import row_path, table_path
from basewarden.core.brief import make_brief
from basewarden.core.row_labels import NAMES_JOIN
from basewarden.errors import AppError, Forbidden, NotFound
from basewarden.gateway import choose_label, choose_names
from basewarden.journal import encode_key, list_row_history, name_one_row
from basewarden.web import Pages, PagesDep, Reading, read_target, redirect
from basewarden.workspace.columns import encode_values, is_writable, view_column
from basewarden.workspace.conditions import is_any_row, is_row
from basewarden.workspace.edits import Change, EditConflict, change_row, list_refusals
from basewarden.workspace.error_pages import DataRoute
from basewarden.workspace.fields import edit_fields, new_fields, read_changes, read_new
from basewarden.workspace.grid import GridRow, can_edit, make_row, read_labelled
from basewarden.workspace.history import read_history
from basewarden.workspace.navigation import make_table_context, name_table
from basewarden.workspace.neighbours import find_neighbours
from basewarden.workspace.paths import KeyDep, KeysDep, TableDep
from basewarden.workspace.references import list_references, read_choices
from basewarden.workspace.related import ReferencingTable, count_deleted, list_related, referenced_columns
from basewarden.workspace.table_client import Key, Row, TableClient, TableClientDep, key_of
from basewarden.workspace.table_pages import explain_read_only
from basewarden.workspace.toasts import add_write, name_row, read_toasts
from basewarden.workspace.truncation import limit_row, list_truncated
from pgrest import Column, Table

router = APIRouter(prefix="/c/{connection_id}/data/{table}", route_class=DataRoute, include_in_schema=False)

_DONE = {"added": "Added.", "saved": "Saved."}
_LONGEST_LABEL = 80
UNDO_NOTE = "Yes, with one press: in the message that follows, or later in its session."
CONFIRM_ABOVE = 100
_NAMES_SHOWN = 20
_VALUES_SHOWN = 6


@router.get("/+new")
async def get_new(
    request: Request, member: Editor, table: TableDep, client: TableClientDep, db: Reading, pages: PagesDep
) -> Response:
    _require_writable(table)
    toasts = await read_toasts(request, member, client, db)
    return await _show_new(request, member, table, client, pages, toasts=toasts)


@router.post("/+new")
async def post_new(
    request: Request, member: Editor, table: TableDep, client: TableClientDep, pages: PagesDep
) -> Response:
    _require_writable(table)
    async with request.form(max_files=0) as form:
        goes_on = "again" in form
        values = read_new(table, form)
        try:
            key = await client.insert(table, encode_values(table, values))
        except AppError as error:
            return await _show_new(
                request, member, table, client, pages, form, error, list_refusals(error, table, values)
            )
    if goes_on:
        return redirect(add_write(f"{request.url.path}", client, "done=added"))
    return redirect(add_write(row_path(member.connection.id, *table.qualified, key), client, "done=added"))


async def _show_new(
    request: Request,
    member: Membership,
    table: Table,
    client: TableClient,
    pages: Pages,
    form: FormData | None = None,
    error: AppError | None = None,
    errors: Mapping[str, str] = MappingProxyType({}),
    toasts: Sequence[Any] = (),
) -> Response:
    return pages.render(
        request,
        "workspace/new.html",
        status=HTTPStatus.OK if error is None else error.status,
        fields=new_fields(table, form, errors),
        choices=await read_choices(client, list_references(client.schema, table)),
        errors=errors,
        toasts=toasts,
        **make_table_context(client, member.connection.id, table),
    )


@router.get("/+delete")
async def get_delete(
    request: Request, member: Editor, table: TableDep, keys: KeysDep, client: TableClientDep, pages: PagesDep
) -> Response:
    if not keys:
        return redirect(table_path(member.connection.id, *table.qualified))
    return await _show_delete(request, member, table, keys, client, pages)


@router.post("/+delete")
async def post_delete(
    request: Request, member: Editor, table: TableDep, keys: KeysDep, client: TableClientDep, pages: PagesDep
) -> Response:
    """Deletes rows; for many of a production connection, the table's name must be typed."""
    if not keys:
        return redirect(table_path(member.connection.id, *table.qualified))
    async with request.form(max_files=0) as form:
        rows, related = await _read_deleted_rows(member, table, keys, client)
        word = _confirm_word(member, table, client, rows, related)
        if word is not None and str(form.get("confirm", "")).strip() != word:
            return await _show_delete(request, member, table, keys, client, pages, "This is not the table's name.")
    try:
        deleted = await client.delete(table, keys)
    except AppError as error:
        return await _show_delete(request, member, table, keys, client, pages, refusal=error)
    return redirect(add_write(table_path(member.connection.id, *table.qualified), client, f"deleted={deleted}"))


@router.get("/{key}")
async def get_row(
    request: Request, member: Viewer, table: TableDep, key: KeyDep, client: TableClientDep, db: Reading, pages: PagesDep
) -> Response:
    return await _show_row(request, member, table, key, client, db, pages)


@router.post("/{key}")
async def post_row(
    request: Request, member: Editor, table: TableDep, key: KeyDep, client: TableClientDep, db: Reading, pages: PagesDep
) -> Response:
    _require_writable(table)
    async with request.form(max_files=0, max_fields=10_000) as form:
        changes = read_changes(table, form)
    here = row_path(member.connection.id, *table.qualified, key)
    if not changes:
        return redirect(here)
    try:
        await change_row(client, table, key, changes)
    except AppError as error:
        return await _show_row(request, member, table, key, client, db, pages, changes, error)
    return redirect(add_write(here, client, "done=saved"))


async def _show_row(
    request: Request,
    member: Membership,
    table: Table,
    key: Key,
    client: TableClient,
    db: Any,
    pages: Pages,
    changes: Mapping[str, Change] | None = None,
    error: AppError | None = None,
) -> Response:
    columns = list(table.columns.values())
    references = list_references(client.schema, table)
    where = [condition.as_parameter() for condition in is_row(table.key, key)]
    limit = limit_row(table, references)
    found = await read_labelled(client, table, columns, references, where, limit)
    if not found.rows:
        return await _show_missing(request, member, table, key, client, db, pages)
    row = found.rows[0]
    too_long = list_truncated(row, table.columns, limit)
    related, neighbours = await asyncio.gather(
        list_related(client, member.connection.id, table, [row]),
        find_neighbours(client, member.connection.id, table, key),
    )
    changed = error.now if isinstance(error, EditConflict) else None
    typed = {name: change.after for name, change in changes.items()} if changes else {}
    errors = {} if error is None else list_refusals(error, table, typed)
    edits = can_edit(member, table)
    is_editing = edits and (error is not None or "edit" in request.query_params)
    shown = make_row(member, table, columns, references, row, limit, edits=False)
    return pages.render(
        request,
        "workspace/row.html",
        status=HTTPStatus.OK if error is None else error.status,
        **make_table_context(client, member.connection.id, table),
        shown=shown,
        label=_name_row(table, row, _read_references(client, table, shown, columns)),
        columns=[view_column(table, column, can_edit=edits) for column in columns],
        cells={column.name: cell for column, cell in zip(columns, shown.cells, strict=True)},
        fields={field.column.name: field for field in edit_fields(table, row, changes, errors, changed, too_long)}
        if is_editing
        else {},
        choices=await read_choices(client, references) if is_editing else {},
        is_editing=is_editing,
        too_long=too_long if is_editing else frozenset(),
        errors=errors,
        related=related,
        neighbours=neighbours,
        history=await read_history(db, member, table, key),
        way_back=UNDO_NOTE,
        confirm_word=_confirm_word(member, table, client, [row], related),
        can_edit=edits,
        read_only_reason=explain_read_only(member, table),
        done=_DONE.get(request.query_params.get("done", "")),
        toasts=await read_toasts(request, member, client, db),
    )


def _read_label(table: Table, row: Row) -> str | None:
    """What people call the row, on one line of a bounded length."""
    column = choose_label(table)
    return make_brief(row.get(column) or "", _LONGEST_LABEL) or None if column else None


def _name_row(table: Table, row: Row, named_by: str = "") -> str:
    """Its label, else "Price of House blend" or "Price 12"; a table's name of no known singular stays as it is."""
    if (label := _read_label(table, row)) is not None:
        return label
    which = f"of {named_by}" if named_by else ", ".join(key_of(table, row))
    name = make_brief(name_one_row(table.name, which), _LONGEST_LABEL)
    return name if name.startswith(table.name) else name[:1].upper() + name[1:]


def _read_references(client: TableClient, table: Table, shown: GridRow, columns: Sequence[Column]) -> str:
    """The labels of the rows that name this one, where it has no label of its own."""
    keys = [source.key.columns[0] for source in choose_names(client.schema, table) if source.key is not None]
    links = {column.name: cell.link for column, cell in zip(columns, shown.cells, strict=True)}
    labels = [link.label for name in keys if (link := links[name]) is not None and link.label]
    return make_brief(NAMES_JOIN.join(labels), _LONGEST_LABEL)


async def _show_missing(
    request: Request, member: Membership, table: Table, key: Key, client: TableClient, db: Any, pages: Pages
) -> Response:
    """Renders the history of a row that does not exist any more."""
    history = await read_history(db, member, table, key)
    last = await list_row_history(db, member.connection.id, table.schema, table.name, encode_key(key), limit=1)
    name = await name_row(client, last[0][0].mutation) if last else f"Row {', '.join(key)}"
    frame = make_table_context(client, member.connection.id, table)
    return pages.render(
        request,
        "workspace/missing.html",
        status=HTTPStatus.NOT_FOUND,
        key=key,
        label=make_brief(name[:1].upper() + name[1:], _LONGEST_LABEL),
        history=history,
        toasts=await read_toasts(request, member, client, db),
        **frame,
    )


async def _show_delete(
    request: Request,
    member: Membership,
    table: Table,
    keys: list[Key],
    client: TableClient,
    pages: Pages,
    error: str | None = None,
    refusal: AppError | None = None,
) -> Response:
    rows, related = await _read_deleted_rows(member, table, keys, client)
    shown = [_show_deleted(member, client, table, row) for row in rows]
    wrong = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return pages.render(
        request,
        "workspace/delete.html",
        status=wrong if refusal is None else refusal.status,
        **make_table_context(client, member.connection.id, table),
        keys=keys,
        action=read_target(request),
        names=[name for name, _ in shown[:_NAMES_SHOWN]],
        values=shown[0][1] if len(rows) == 1 else (),
        row_names=[name for name, _ in shown],
        related=related,
        way_back=UNDO_NOTE,
        confirm_word=_confirm_word(member, table, client, rows, related),
        error=error,
        refusal=list_refusals(refusal)[""] if refusal else None,
    )


async def _read_deleted_rows(
    member: Membership, table: Table, keys: list[Key], client: TableClient
) -> tuple[Sequence[Row], list[ReferencingTable]]:
    """Reads the rows to delete with what names them, and the rows that refer to them."""
    _require_writable(table)
    references = list_references(client.schema, table)
    columns = list(table.columns.values()) if len(keys) == 1 else _list_naming_columns(client, table)
    where = [is_any_row(table.key, keys)]
    found = await read_labelled(client, table, columns, references, where, limit_row(table, references))
    if not found.rows:
        raise NotFound("These rows were already deleted.")
    return found.rows, await list_related(client, member.connection.id, table, found.rows)


def _list_naming_columns(client: TableClient, table: Table) -> list[Column]:
    """What a row is named by, and what others refer to."""
    label = choose_label(table)
    keys = [source.key.columns[0] for source in choose_names(client.schema, table) if source.key is not None]
    names = dict.fromkeys([*referenced_columns(table), *([label] if label else []), *keys])
    return [table.columns[name] for name in names]


def _show_deleted(
    member: Membership, client: TableClient, table: Table, row: Row
) -> tuple[str, list[tuple[str, str, str | None]]]:
    """The row's name, and its first values: column, value and what the value refers to."""
    references = list_references(client.schema, table)
    columns = [column for column in table.columns.values() if column.name in row]
    shown = make_row(member, table, columns, references, row, limit_row(table, references), edits=False)
    name = _name_row(table, row, _read_references(client, table, shown, columns))
    values = [
        (column.name, make_brief(cell.value, _LONGEST_LABEL), cell.link.label if cell.link else None)
        for column, cell in zip(columns, shown.cells, strict=True)
        if cell.value and column.name not in table.key and cell.value != name
    ]
    return name, values[:_VALUES_SHOWN]


def _confirm_word(
    member: Membership, table: Table, client: TableClient, rows: Sequence[Row], related: Sequence[ReferencingTable]
) -> str | None:
    """A word to type before many rows of a production connection are deleted; a few are as easily undone."""
    is_production = member.connection.environment == Environment.PRODUCTION
    is_needed = is_production and count_deleted(rows, related) > CONFIRM_ABOVE
    return name_table(client.schema, *table.qualified) if is_needed else None


def _require_writable(table: Table) -> None:
    if not is_writable(table):
        raise Forbidden("This cannot be changed here, because it is a view or has no primary key.")
