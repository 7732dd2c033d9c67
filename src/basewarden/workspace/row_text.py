"""Rows as text for other programs: CSV, JSON, INSERT, or a table in Markdown.

Values are PostgreSQL's texts, None is null.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pgrest import Column, quote_list, quote_name

Value = str | None
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")
_BOOLEANS: Final = {"t": True, "f": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class RowFormat:
    """`write` takes the table's schema and name, the columns and the rows."""

    name: str
    suffix: str
    write: Callable[[tuple[str, str], Sequence[Column], Sequence[Sequence[Value]]], str]


def _write_csv(_: tuple[str, str], columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> str:
    """By RFC 4180; null is an empty field, the empty string a quoted one."""
    lines = [[column.name for column in columns], *rows]
    return "".join(",".join(map(_quote_field, line)) + "\r\n" for line in lines)


def _quote_field(value: Value) -> str:
    if value is None:
        return ""
    is_plain = value and not any(character in value for character in ',"\r\n')
    return value if is_plain else '"' + value.replace('"', '""') + '"'


def _write_json(_: tuple[str, str], columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> str:
    """A row on each line. Values are not indented: one that is nested deep would become a thousand times as long."""
    objects = (
        {column.name: _to_json(column, value) for column, value in zip(columns, row, strict=True)} for row in rows
    )
    return "[\n" + ",\n".join(msgspec.json.encode(one).decode() for one in objects) + "\n]\n"


def _to_json(column: Column, value: Value) -> object:
    """A number keeps its digits, and JSON its own text; what JSON has no type for is a text."""
    if value is None:
        return None
    if column.base_type in ("json", "jsonb") or (column.category == "N" and _NUMBER.fullmatch(value)):
        return msgspec.Raw(value.encode())
    return _BOOLEANS.get(value, value) if column.category == "B" else value


def _write_insert(table: tuple[str, str], columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> str:
    """One statement, without the columns that the database computes; it reads the texts by their columns' types."""
    kept = [place for place, column in enumerate(columns) if not column.generated]
    names = quote_list(columns[place].name for place in kept)
    lines = ",\n".join(f"  ({', '.join(_write_literal(row[place]) for place in kept)})" for row in rows)
    is_overriding = any(columns[place].identity == "a" for place in kept)
    overriding = " OVERRIDING SYSTEM VALUE" if is_overriding else ""
    return f"INSERT INTO {quote_name(table)} ({names}){overriding} VALUES\n{lines};\n"


def _write_literal(value: Value) -> str:
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def _write_markdown(_: tuple[str, str], columns: Sequence[Column], rows: Sequence[Sequence[Value]]) -> str:
    lines = [[column.name for column in columns], ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(map(_escape_cell, line))} |\n" for line in lines)


def _escape_cell(value: Value) -> str:
    escaped = (value or "").replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return " ".join(escaped.splitlines())


ROW_FORMATS: Final[Mapping[str, RowFormat]] = {
    "csv": RowFormat("CSV", "csv", _write_csv),
    "json": RowFormat("JSON", "json", _write_json),
    "insert": RowFormat("INSERT", "sql", _write_insert),
    "markdown": RowFormat("Markdown", "md", _write_markdown),
}
