"""A row as a form: the fields, and the values that are submitted.

For a column `x` the form sends `v.x` (its text), `n.x` (ticked: null), `e.x` (ticked: an empty string, which is not
the same as an empty field of a new row), `a.x` (its text is a list, one value per line) and, when editing, `o.x` (the
original value as JSON).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec
from starlette.datastructures import FormData

from basewarden.errors import BadRequest
from basewarden.web import read_array, write_array
from basewarden.workspace.columns import ColumnView, is_settable, keep_newlines, view_column
from basewarden.workspace.edits import Change
from basewarden.workspace.table_client import Row
from pgrest import Column, Table


@dataclass(frozen=True, slots=True)
class FormField:
    """`is_moved` = the value was changed concurrently, to what is now `before`."""

    column: ColumnView
    value: str | None
    before: str | None = None
    is_empty_text: bool = False
    error: str | None = None
    is_moved: bool = False

    @property
    def original(self) -> str:
        return write_before(self.before)

    @property
    def is_required(self) -> bool:
        """Whether a new row needs a value here."""
        return not self.column.nullable and self.column.default is None

    @property
    def lines(self) -> str | None:
        """A list with one value per line; None for what such lines cannot say: null within it, several dimensions."""
        if self.column.kind != "array":
            return None
        items = read_array(self.value) if self.value else []
        known = [item for item in items or () if item is not None and item.strip().splitlines() == [item]]
        is_plain = items is not None and (not self.value or write_array(known) == self.value)
        return "\n".join(known) if is_plain else None

    @property
    def can_be_empty_text(self) -> bool:
        return self.column.kind == "text"


def new_fields(table: Table, form: FormData | None = None, errors: Mapping[str, str] | None = None) -> list[FormField]:
    """Returns the fields of a new row, without columns that the database fills in."""
    return [
        FormField(
            view_column(table, column),
            value=_typed(form, column) if form is not None else "",
            is_empty_text=form is not None and f"e.{column.name}" in form,
            error=(errors or {}).get(column.name),
        )
        for column in table.columns.values()
        if is_input(column)
    ]


def read_new(table: Table, form: FormData) -> dict[str, str | None]:
    """Reads a new row; an empty field is left out, so that the column's default applies."""
    values: dict[str, str | None] = {}
    for column in table.columns.values():
        if not is_input(column):
            continue
        typed = _typed(form, column)
        if typed is None or typed or f"e.{column.name}" in form:
            values[column.name] = keep_newlines(typed, None) if typed is not None else None
    return values


def edit_fields(
    table: Table,
    row: Row,
    changes: Mapping[str, Change] | None = None,
    errors: Mapping[str, str] | None = None,
    now: Row | None = None,
    too_long: Collection[str] = (),
) -> list[FormField]:
    """Returns the fields of a row; after an error they keep the typed changes, now based on the values of `now`.

    A `too_long` column has no field, because its value is truncated.
    """
    return [
        FormField(
            view,
            value=changes[view.name].after if changes and view.name in changes else row[view.name],
            before=row[view.name],
            error=(errors or {}).get(view.name),
            is_moved=now is not None and view.name in now,
        )
        for column in table.columns.values()
        if (view := view_column(table, column, can_edit=True)).editable and view.name not in too_long
    ]


def read_changes(table: Table, form: FormData) -> dict[str, Change]:
    """Reads the changed fields only."""
    found = {name: read_change(form, f".{name}") for name in table.columns if f"v.{name}" in form}
    return {name: change for name, change in found.items() if change.after != change.before}


def read_change(form: FormData, ending: str = "") -> Change:
    """Reads one field; a new text takes precedence over a ticked null box."""
    before = _read_before(_text(form, f"o{ending}"))
    typed = keep_newlines(_text(form, f"v{ending}"), before)
    if f"a{ending}" in form and (typed.strip() or before is not None or f"n{ending}" not in form):
        typed = _write_lines(typed)
    is_null = f"n{ending}" in form and typed == (before or "")
    return Change(before, None if is_null else typed)


def write_before(value: str | None) -> str:
    """Encodes the value as JSON, because a form would change the line breaks of plain text."""
    return msgspec.json.encode(value).decode()


def _read_before(text: str) -> str | None:
    try:
        return msgspec.json.decode(text, type=str | None)
    except msgspec.DecodeError:
        raise BadRequest("This form is not valid. Reload the page and try again.") from None


def is_input(column: Column) -> bool:
    return is_settable(column) and not column.identity


def _typed(form: FormData, column: Column) -> str | None:
    text = _text(form, f"v.{column.name}")
    if f"a.{column.name}" in form and text.strip():
        return _write_lines(text)
    return None if not text and f"n.{column.name}" in form else text


def _write_lines(text: str) -> str:
    return write_array(line.strip() for line in text.splitlines() if line.strip())


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""
