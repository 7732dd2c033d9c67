"""Converts the forms of the guard's pages into its settings: what it does, and the marks of one table.

A form brings along what it began with (`base`). What still is so was not touched, and is left as it is meanwhile: two
people who change the guard at once each change only what they touched.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, Field, Json, TypeAdapter, ValidationError

from basewarden.connections.forms import PageForm
from basewarden.connections.guard.schemas import MAX_MARKED_COLUMNS, GuardChange
from basewarden.connections.guard.values import GuardOptions
from basewarden.connections.models import ColumnMark, GuardMode, StrangerMode, TableMark, WriterMark
from basewarden.errors import Invalid

PUBLIC: Final = "public."
_COLUMN: Final = TypeAdapter(tuple[str, str])
M = TypeVar("M")
_Columns = Annotated[list[Annotated[str, Field(max_length=500)]], Field(max_length=MAX_MARKED_COLUMNS)]


class GuardBase(BaseModel):
    """What the form of the settings began with."""

    blocks: bool
    holds: bool

    @classmethod
    def read(cls, guard: GuardOptions) -> "GuardBase":
        return cls(blocks=guard.blocks, holds=guard.holds)


class GuardForm(PageForm):
    """Boxes that are not ticked are not sent."""

    blocks: bool = False
    holds: bool = False
    base: Json[GuardBase] | None = None

    def as_guard(self, known: GuardOptions) -> GuardOptions:
        blocks, holds = self.blocks, self.holds
        if self.base is not None:
            blocks = known.blocks if blocks == self.base.blocks else blocks
            holds = known.holds if holds == self.base.holds else holds
        return replace(
            known,
            mode=GuardMode.BLOCK if blocks else GuardMode.OFF,
            strangers=StrangerMode.HOLD if holds else StrangerMode.ALLOW,
        )


class TableMarks(BaseModel):
    """The marks of one table, as its form began with them or holds them now."""

    columns: dict[str, ColumnMark] = Field(default_factory=dict)
    readers: TableMark | None = None
    writers: WriterMark | None = None

    @classmethod
    def read(cls, guard: GuardOptions, table: str) -> "TableMarks":
        columns, readers = dict(guard.columns.get(table, {})), guard.tables.get(table)
        return cls(columns=columns, readers=readers, writers=guard.writers.get(table))

    def merge(self, base: "TableMarks", known: "TableMarks") -> "TableMarks":
        """What was changed since `base`, and the rest as `known` has it."""
        own, was = self.columns, base.columns
        touched = {name for name in {*own, *was} if own.get(name) != was.get(name)}
        kept = {name: mark for name, mark in known.columns.items() if name not in touched}
        return TableMarks(
            columns=kept | {name: mark for name, mark in own.items() if name in touched},
            readers=known.readers if self.readers == base.readers else self.readers,
            writers=known.writers if self.writers == base.writers else self.writers,
        )


class TableMarksForm(PageForm):
    """`marks` are `sensitive:email`, `named` further sensitive columns, where the project lists none."""

    marks: _Columns = Field(default_factory=list)
    named: Annotated[str, Field(max_length=10_000)] = ""
    readers: TableMark | None = None
    writers: WriterMark | None = None
    base: Json[TableMarks] | None = None

    def as_guard(self, known: GuardOptions, table: str) -> GuardOptions:
        """Marks of other tables stay."""
        marks = TableMarks(columns=self._list_marks(), readers=self.readers, writers=self.writers)
        if self.base is not None:
            marks = marks.merge(self.base, TableMarks.read(known, table))
        return _check(
            replace(
                known,
                columns={**known.columns, table: marks.columns},
                tables=_set(known.tables, table, marks.readers),
                writers=_set(known.writers, table, marks.writers),
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
