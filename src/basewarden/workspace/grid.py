"""One page of a table's rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from basewarden.connections import Membership, Role
from basewarden.core.addresses import encode_row, row_path
from basewarden.workspace.columns import (
    ColumnView,
    choose_pinned,
    is_sortable,
    is_writable,
    list_shown_columns,
    view_column,
)
from basewarden.workspace.errors import DataRefused
from basewarden.workspace.grid_view import GridFilter, GridView
from basewarden.workspace.kept_counts import Counted
from basewarden.workspace.references import CellLink, Reference, list_references, select_embeds
from basewarden.workspace.row_counts import EXACT_BELOW, keep_count, make_count
from basewarden.workspace.table_client import ChangeCount, Row, RowPage, TableClient, key_of, text_of
from basewarden.workspace.truncation import limit_grid, truncate
from pgrest import Column, Table, TextLimit


@dataclass(frozen=True, slots=True)
class Cell:
    """`whole_href` links to the full value of a truncated cell; None if the row has no URL."""

    value: str | None
    link: CellLink | None
    is_editable: bool
    is_cut: bool = False
    whole_href: str | None = None


@dataclass(frozen=True, slots=True)
class GridRow:
    """`href` and `key` are None for a table without a key."""

    key: str | None
    name: str
    href: str | None
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class RefusedFilter:
    filter: GridFilter
    reason: str


@dataclass(frozen=True, slots=True)
class Grid:
    columns: Sequence[ColumnView]
    rows: Sequence[GridRow]
    total: Counted | None
    refused: Sequence[RefusedFilter]

    def summary(self, view: GridView) -> str:
        """Describes the range of rows; "about" marks an estimated total."""
        if not self.rows:
            return "No rows"
        shown = f"{view.offset + 1:,}–{view.offset + len(self.rows):,}"  # noqa: RUF001 -- a range has an en dash
        return shown if self.total is None else f"{shown} of {self.total.text}"

    def has_next(self, view: GridView) -> bool:
        if self.total is None or self.total.is_estimate:
            return len(self.rows) == view.rows
        return view.offset + len(self.rows) < self.total.rows


def can_edit(member: Membership, table: Table) -> bool:
    return member.role.includes(Role.EDITOR) and is_writable(table)


async def load_grid(client: TableClient, member: Membership, table: Table, view: GridView) -> Grid:
    """Loads a page. If a filter is rejected, no rows are shown: they could be deleted by mistake."""
    columns = list_shown_columns(table, view.columns)
    references = list_references(client.schema, table)
    edits = can_edit(member, table)
    pinned = choose_pinned(table)
    shown = [_view(table, column, view, edits=edits, is_pinned=column.name == pinned) for column in columns]
    refused = await _list_refused(client, table, view.filters)
    if refused:
        return Grid(shown, (), None, refused=refused)
    where = [item.condition.as_parameter() for item in view.filters]
    planned = await client.count(table, where, count="planned")
    count: ChangeCount = "exact" if planned is None or planned < EXACT_BELOW else "planned"
    page = [("order", view.order(table)), ("limit", str(view.rows)), ("offset", str(view.offset))]
    parameters = [*where, *[pair for pair in page if pair[1]]]
    limit = limit_grid(table, references, view.rows * len(columns))
    found = await read_labelled(client, table, columns, references, parameters, limit, count=count)
    total = make_count(found.total, is_estimate=count == "planned")
    if not where:
        keep_count(client, table, total)
    return Grid(
        columns=shown,
        rows=[make_row(member, table, columns, references, row, limit, edits=edits) for row in found.rows],
        total=total,
        refused=(),
    )


async def read_labelled(
    client: TableClient,
    table: Table,
    columns: Sequence[Column],
    references: Sequence[Reference],
    parameters: Sequence[tuple[str, str]],
    limit: TextLimit,
    *,
    count: ChangeCount | None = None,
) -> RowPage:
    """Reads the columns with the labels of referenced rows, or without them if the role may not read those."""
    names = dict.fromkeys([*(column.name for column in columns), *table.key, *_key_columns(references)])
    texts = [text_of(name) for name in names]
    embeds = select_embeds(references)
    try:
        wanted = [*parameters, ("select", ",".join([*texts, *embeds]))]
        return await client.read(table, wanted, count=count, text_limit=limit)
    except DataRefused as error:
        if not embeds or not error.lacks_rights:
            raise
        return await client.read(table, [*parameters, ("select", ",".join(texts))], count=count, text_limit=limit)


def make_row(
    member: Membership,
    table: Table,
    columns: Sequence[Column],
    references: Sequence[Reference],
    row: Row,
    limit: TextLimit,
    *,
    edits: bool,
) -> GridRow:
    by_column = {reference.shown_at: reference for reference in references}
    key = key_of(table, row)
    href = row_path(member.connection.id, table.schema, table.name, key) if key else None
    cells = []
    for column in columns:
        reference = by_column.get(column.name)
        can_edit = edits and view_column(table, column, can_edit=True).editable
        value, is_cut = truncate(row[column.name], column.name, limit)
        cells.append(
            Cell(
                value=value,
                link=reference.link(member.connection.id, row) if reference else None,
                is_editable=bool(can_edit and href),
                is_cut=is_cut,
                whole_href=value_href(href, column.name) if is_cut and href else None,
            )
        )
    return GridRow(encode_row(key) if key else None, ", ".join(key), href, cells)


def cell_href(row_href: str, column: str) -> str:
    return f"{row_href}/cell?{urlencode({'column': column})}"


def value_href(row_href: str, column: str) -> str:
    return f"{row_href}/value?{urlencode({'column': column})}"


def _view(table: Table, column: Column, view: GridView, *, edits: bool, is_pinned: bool) -> ColumnView:
    return view_column(
        table,
        column,
        sort=view.sort_of(column.name),
        sort_href=view.sorted_by(column.name).href if is_sortable(column) else None,
        can_edit=edits,
        is_pinned=is_pinned,
    )


async def _list_refused(client: TableClient, table: Table, filters: Sequence[GridFilter]) -> list[RefusedFilter]:
    """Tries all filters at once, which usually succeeds, then one by one to find the rejected ones."""
    try:
        await _try_filters(client, table, filters)
    except DataRefused as error:
        if error.lacks_rights or not filters:
            raise
    else:
        return []
    refused = []
    for item in filters:
        try:
            await _try_filters(client, table, [item])
        except DataRefused as error:
            refused.append(RefusedFilter(item, error.text))
    return refused


async def _try_filters(client: TableClient, table: Table, filters: Sequence[GridFilter]) -> None:
    if filters:
        await client.count(table, [item.condition.as_parameter() for item in filters], count="planned")


def _key_columns(references: Sequence[Reference]) -> list[str]:
    return [column for reference in references for column in reference.key.columns]
