"""Columns as pages show and edit them."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from basewarden.errors import Invalid
from basewarden.gateway import choose_label
from pgrest import Column, Table

_JSON_TYPES = frozenset({"json", "jsonb"})
_UNSORTABLE_TYPES = frozenset({"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"})
_INCOMPARABLE_TYPES = frozenset({"json", "xml", "point", "polygon"})
_CONSTANT = re.compile(r"'((?:[^']|'')*)'::[^']+")
_NOTED = re.compile(r"(created|inserted|updated|modified|changed)_(at|on|by)")
_KINDS = {"B": "bool", "E": "enum", "N": "number", "D": "timestamp", "A": "array", "C": "json"}


@dataclass(frozen=True, slots=True)
class ColumnView:
    name: str
    type: str
    kind: str
    input_type: str
    is_reference: bool
    comment: str | None
    is_key: bool
    is_pinned: bool
    nullable: bool
    editable: bool
    default: str | None
    options: tuple[str, ...]
    is_noted: bool
    """Whether the database sets it by itself, as far as can be seen."""
    sortable: bool
    sort: str | None = None
    sort_href: str | None = None


def view_column(
    table: Table,
    column: Column,
    *,
    sort: str | None = None,
    sort_href: str | None = None,
    can_edit: bool = False,
    is_pinned: bool = False,
) -> ColumnView:
    kind = find_kind(column)
    is_key = column.name in table.key
    return ColumnView(
        name=column.name,
        type=_find_reference(table, column) or _leave_out_schema(table, column.type),
        kind=kind,
        input_type="date" if column.base_type == "date" else "text",
        is_reference=_find_reference(table, column) is not None,
        comment=column.comment,
        is_key=is_key,
        is_pinned=is_pinned,
        nullable=column.nullable,
        editable=can_edit and not is_key and is_settable(column),
        default=_describe_default(column.default),
        options=("true", "false") if kind == "bool" else column.enum_values,
        is_noted=is_set_by_database(table, column),
        sortable=is_sortable(column),
        sort=sort,
        sort_href=sort_href,
    )


def _find_reference(table: Table, column: Column) -> str | None:
    """The table that a column refers to, in place of its type: "→ categories"."""
    names = (key.ref_table[1] for key in table.foreign_keys_out if key.columns[-1] == column.name)
    return next((f"→ {name}" for name in names), None)


def is_set_by_database(table: Table, column: Column) -> bool:
    """True for generated columns, and those that note who made or changed a row and when, where a default sets one."""
    if column.generated or _NOTED.fullmatch(column.name) is None:
        return column.generated
    defaults = (one.default for one in table.columns.values() if _NOTED.fullmatch(one.name))
    return any(default is not None and not _CONSTANT.fullmatch(default) for default in defaults)


def _leave_out_schema(table: Table, text: str) -> str:
    """A type of the table's own schema, without it."""
    return text.removeprefix(f"{table.schema}.")


def _describe_default(default: str | None) -> str | None:
    """A constant without its cast: `active` for `'active'::public.status`; else the expression."""
    if default is None:
        return None
    constant = _CONSTANT.fullmatch(default)
    return constant[1].replace("''", "'") if constant else default


def find_kind(column: Column) -> str:
    if column.enum_values:
        return "enum"
    if column.base_type in _JSON_TYPES:
        return "json"
    if column.base_type == "bytea":
        return "bytes"
    return _KINDS.get(column.category, "text")


def list_shown_columns(table: Table, chosen: Collection[str] = ()) -> list[Column]:
    """The columns of a grid, of which `chosen` empty means all: what people call a row, its key, then the others.

    Ids that say nothing to people come last where a row has a label: its key, and those of rows that have no name here.
    """
    pinned = choose_pinned(table)
    named = {name for key in table.foreign_keys_out if key.ref_table[0] == table.schema for name in key.columns}
    ids = [name for name, column in table.columns.items() if column.base_type == "uuid" and name not in named]
    last = ids if choose_label(table) is not None else []
    first = [name for name in [*([pinned] if pinned else []), *table.key, *table.columns] if name not in last]
    ordered = dict.fromkeys([*first, *last])
    return [table.columns[name] for name in ordered if name in chosen or not chosen]


def choose_pinned(table: Table) -> str | None:
    """The column that stays in sight while a grid is moved sideways: what people call a row, or its key.

    Of a key that only refers to other rows it is the last one: the product of a stock, whose warehouse is the same in
    many rows.
    """
    referring = {name for key in table.foreign_keys_out for name in key.columns}
    keys = table.key[-1:] if set(table.key) <= referring else table.key
    return choose_label(table) or next(iter(keys), None)


def is_settable(column: Column) -> bool:
    return not column.generated and column.identity != "a"


def is_sortable(column: Column) -> bool:
    return column.base_type not in _UNSORTABLE_TYPES


def is_comparable(column: Column) -> bool:
    return column.base_type not in _INCOMPARABLE_TYPES


def is_writable(table: Table) -> bool:
    """True for tables with a key: only identifiable rows can be edited, recorded and undone."""
    return table.kind in ("table", "partitioned") and bool(table.key)


def encode_values(table: Table, values: Mapping[str, str | None]) -> bytes:
    """Encodes the body of a write. PostgreSQL parses each text by the column's type; only JSON is embedded as it is."""
    return msgspec.json.encode({name: _encode_value(table.columns[name], value) for name, value in values.items()})


def _encode_value(column: Column, value: str | None) -> Any:
    if value is None or column.base_type not in _JSON_TYPES:
        return value
    try:
        is_null = json.loads(value) is None
    except (ValueError, RecursionError):
        raise Invalid.field(column.name, "This is not valid JSON.") from None
    if is_null:
        raise Invalid.field(column.name, "A JSON null cannot be written here. Select null instead.")
    return msgspec.Raw(value.encode())


def keep_newlines(typed: str, before: str | None) -> str:
    """Restores line breaks: a browser sends all as CRLF, but an unedited value must not change."""
    text = typed.replace("\r\n", "\n")
    if before is None or "\r\n" not in before:
        return text
    return before if before.replace("\r\n", "\n") == text else text.replace("\n", "\r\n")
