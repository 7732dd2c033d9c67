"""Converts the form of the guard's settings: one mark on a line."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from basewarden.connections.forms import PageForm
from basewarden.connections.guard.schemas import GuardChange
from basewarden.connections.guard.values import GuardOptions
from basewarden.connections.models import ColumnMark, GuardMode, StrangerMode, TableMark, WriterMark
from basewarden.errors import Invalid

_MAX_LINES = 200_000
_PUBLIC = "public."
_FIRST_FIELDS = {"columns": "sensitive", "writers": "byStrangers"}
M = TypeVar("M", bound=StrEnum)
Lines = Annotated[str, Field(max_length=_MAX_LINES)]


class GuardForm(PageForm):
    mode: GuardMode
    sensitive: Lines = ""
    not_sensitive: Lines = ""
    public: Lines = ""
    not_public: Lines = ""
    strangers: StrangerMode = StrangerMode.ALLOW
    by_strangers: Lines = ""
    trusted: Lines = ""

    def as_guard(self) -> GuardOptions:
        """Raises Invalid where a line is no name, or is marked twice."""
        columns: dict[str, dict[str, ColumnMark]] = {}
        for field, mark in (("sensitive", ColumnMark.SENSITIVE), ("notSensitive", ColumnMark.NOT_SENSITIVE)):
            for line in _list_lines(self.sensitive if mark is ColumnMark.SENSITIVE else self.not_sensitive):
                table, dot, name = line.rpartition(".")
                if not dot:
                    raise Invalid.field(field, f"“{line}” is no column. Write the table too, as in customers.email.")
                if columns.setdefault(_qualify(table), {}).setdefault(name, mark) is not mark:
                    raise Invalid.field(field, f"“{line}” is in both lists.")
        tables = _read_marks(
            ("public", TableMark.PUBLIC, self.public), ("notPublic", TableMark.NOT_PUBLIC, self.not_public)
        )
        writers = _read_marks(
            ("byStrangers", WriterMark.STRANGERS, self.by_strangers), ("trusted", WriterMark.TRUSTED, self.trusted)
        )
        given = {"columns": columns, "tables": tables, "writers": writers}
        return _check({**given, "mode": self.mode, "strangers": self.strangers})


def _read_marks(*lists: tuple[str, M, str]) -> dict[str, M]:
    """Reads lists of tables, each with its field and its mark."""
    found: dict[str, M] = {}
    for field, mark, lines in lists:
        for line in _list_lines(lines):
            if found.setdefault(_qualify(line), mark) is not mark:
                raise Invalid.field(field, f"“{line}” is in both lists.")
    return found


def _check(given: dict[str, object]) -> GuardOptions:
    try:
        return GuardChange.model_validate(given).as_guard()
    except ValidationError as error:
        field = _FIRST_FIELDS.get(str(error.errors()[0]["loc"][0]), "public")
        raise Invalid.field(field, "A line is not a valid name, or there are too many lines.") from None


def fill_in_guard(guard: GuardOptions) -> dict[str, str]:
    """The settings as the form has them; tables of `public` without their schema."""
    return {
        "mode": guard.mode.value,
        "sensitive": _join(f"{table}.{name}" for table, name in guard.list_columns(ColumnMark.SENSITIVE)),
        "notSensitive": _join(f"{table}.{name}" for table, name in guard.list_columns(ColumnMark.NOT_SENSITIVE)),
        "public": _join(guard.list_tables(TableMark.PUBLIC)),
        "notPublic": _join(guard.list_tables(TableMark.NOT_PUBLIC)),
        "strangers": guard.strangers.value,
        "byStrangers": _join(guard.list_written(WriterMark.STRANGERS)),
        "trusted": _join(guard.list_written(WriterMark.TRUSTED)),
    }


def _list_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _qualify(table: str) -> str:
    return table if "." in table else _PUBLIC + table


def _join(names: Iterable[str]) -> str:
    return "\n".join(sorted(name.removeprefix(_PUBLIC) for name in names))
