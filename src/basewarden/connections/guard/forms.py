"""Converts the forms of the guard's pages into its settings: what it does, and the marks of one table."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from basewarden.connections.forms import PageForm
from basewarden.connections.guard.schemas import MAX_MARKED_COLUMNS, GuardChange
from basewarden.connections.guard.values import GuardOptions
from basewarden.connections.models import ColumnMark, GuardMode, StrangerMode, TableMark, WriterMark
from basewarden.errors import Invalid

PUBLIC: Final = "public."
_COLUMN: Final = TypeAdapter(tuple[str, str])
M = TypeVar("M")
_Columns = Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=MAX_MARKED_COLUMNS)]


class GuardForm(PageForm):
    """Boxes that are not ticked are not sent."""

    blocks: bool = False
    holds: bool = False

    def as_guard(self, known: GuardOptions) -> GuardOptions:
        return replace(
            known,
            mode=GuardMode.BLOCK if self.blocks else GuardMode.OFF,
            strangers=StrangerMode.HOLD if self.holds else StrangerMode.ALLOW,
        )


class TableMarksForm(PageForm):
    """`marks` are `sensitive:email`, `named` further sensitive columns, where the project lists none."""

    marks: _Columns = Field(default_factory=list)
    named: Annotated[str, Field(max_length=10_000)] = ""
    readers: TableMark | None = None
    writers: WriterMark | None = None

    def as_guard(self, known: GuardOptions, table: str) -> GuardOptions:
        """All marks of the table; those of others stay."""
        return _check(
            replace(
                known,
                columns={**known.columns, table: self._list_marks()},
                tables=_set(known.tables, table, self.readers),
                writers=_set(known.writers, table, self.writers),
            )
        )

    def _list_marks(self) -> dict[str, ColumnMark]:
        marks = dict.fromkeys(filter(None, map(str.strip, self.named.split(","))), ColumnMark.SENSITIVE)
        for one in self.marks:
            mark, _, column = one.partition(":")
            if mark not in list(ColumnMark):
                raise Invalid.field("marks", "A column is sensitive, not sensitive, or as found.")
            marks[column] = ColumnMark(mark)
        return marks


class FoundColumnsForm(PageForm):
    """Columns whose values look sensitive, each as `["public.people", "email"]`."""

    columns: _Columns = Field(default_factory=list)

    def as_guard(self, known: GuardOptions) -> GuardOptions:
        columns = {table: dict(marks) for table, marks in known.columns.items()}
        for one in self.columns:
            table, name = _read_column(one)
            columns.setdefault(table, {})[name] = ColumnMark.SENSITIVE
        return _check(replace(known, columns=columns))


def write_column(table: str, column: str) -> str:
    return json.dumps([table, column])


def _read_column(text: str) -> tuple[str, str]:
    """Raises Invalid."""
    try:
        return _COLUMN.validate_json(text)
    except ValidationError:
        raise Invalid.field("columns", "This is no column.") from None


def _set(marks: Mapping[str, M], table: str, mark: M | None) -> dict[str, M]:
    others = {name: one for name, one in marks.items() if name != table}
    return others if mark is None else {**others, table: mark}


def _check(wanted: GuardOptions) -> GuardOptions:
    given = {
        "mode": wanted.mode,
        "columns": wanted.columns,
        "tables": wanted.tables,
        "strangers": wanted.strangers,
        "writers": wanted.writers,
    }
    try:
        return GuardChange.model_validate(given).as_guard()
    except ValidationError:
        raise Invalid.field("", "A name is not valid, or too many columns are marked.") from None


def qualify(table: str) -> str:
    return table if "." in table else PUBLIC + table
