"""The guard's settings as JSON."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import Field, PlainValidator, TypeAdapter, WithJsonSchema

from basewarden.connections.guard.values import GuardOptions
from basewarden.connections.models import RPC, ColumnMark, GuardMode, StrangerMode, TableMark, WriterMark
from basewarden.connections.schemas import MAX_TABLES, Identifier, Table
from basewarden.web import RequestBody, ResponseBody

M = TypeVar("M", bound=StrEnum)
MAX_MARKED_COLUMNS = 1000
_TABLES = TypeAdapter(Annotated[list[Table], Field(max_length=MAX_TABLES)])
_COLUMNS = TypeAdapter(list[Identifier])
_COLUMN_MARKS = TypeAdapter(list[ColumnMark])
_TABLE_MARKS = TypeAdapter(list[TableMark])
_WRITER_MARKS = TypeAdapter(list[WriterMark])


def read_column_marks(value: object) -> dict[str, dict[str, ColumnMark]]:
    """Reads an object of a table and its columns, each with its mark."""
    if not isinstance(value, dict) or not all(isinstance(columns, dict) for columns in value.values()):
        raise ValueError('must be an object such as {"public.customers": {"nickname": "sensitive"}}')
    if sum(map(len, value.values())) > MAX_MARKED_COLUMNS:
        raise ValueError(f"names more than {MAX_MARKED_COLUMNS} columns")
    names = _read_tables(list(value))
    return {
        name: dict(
            zip(_COLUMNS.validate_python(list(marks)), _COLUMN_MARKS.validate_python(list(marks.values())), strict=True)
        )
        for name, marks in zip(names, value.values(), strict=True)
        if marks
    }


def read_table_marks(value: object) -> dict[str, TableMark]:
    return _read_marks(value, _TABLE_MARKS, '{"public.replies": "public"}')


def read_writer_marks(value: object) -> dict[str, WriterMark]:
    return _read_marks(value, _WRITER_MARKS, '{"public.messages": "strangers"}')


def _read_marks(value: object, marks: TypeAdapter[list[M]], example: str) -> dict[str, M]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object such as {example}")  # noqa: TRY004 - as pydantic takes it
    return dict(zip(_read_tables(list(value)), marks.validate_python(list(value.values())), strict=True))


def _read_tables(given: list[object]) -> list[str]:
    names = _TABLES.validate_python(given)
    if len(set(names)) < len(names):
        raise ValueError("names a table twice")
    if any(name.startswith(RPC) for name in names):
        raise ValueError("names a function")
    return names


def _describe_marks(marks: Iterable[StrEnum]) -> dict[str, Any]:
    allowed = {"type": "string", "enum": [one.value for one in marks]}
    return {"type": "object", "additionalProperties": allowed, "maxProperties": MAX_TABLES}


ColumnMarks = Annotated[
    dict[str, dict[str, ColumnMark]],
    PlainValidator(read_column_marks),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": {"type": "string", "enum": [one.value for one in ColumnMark]},
            },
            "maxProperties": MAX_TABLES,
        }
    ),
]
TableMarks = Annotated[
    dict[str, TableMark], PlainValidator(read_table_marks), WithJsonSchema(_describe_marks(TableMark))
]
WriterMarks = Annotated[
    dict[str, WriterMark], PlainValidator(read_writer_marks), WithJsonSchema(_describe_marks(WriterMark))
]


class GuardChange(RequestBody):
    """All of the settings: a mark that is not sent is removed. A table without a schema is one of `public`."""

    mode: GuardMode
    columns: ColumnMarks = Field(default_factory=dict)
    tables: TableMarks = Field(default_factory=dict)
    strangers: StrangerMode = StrangerMode.ALLOW
    writers: WriterMarks = Field(default_factory=dict)

    def as_guard(self) -> GuardOptions:
        return GuardOptions(self.mode, self.columns, self.tables, self.strangers, self.writers)


class GuardOut(ResponseBody):
    mode: GuardMode
    columns: dict[str, dict[str, ColumnMark]] = Field(examples=[{"public.customers": {"nickname": "sensitive"}}])
    tables: dict[str, TableMark] = Field(examples=[{"public.replies": "public"}])
    strangers: StrangerMode
    writers: dict[str, WriterMark] = Field(examples=[{"public.messages": "strangers"}])


class SensitiveValuesOut(ResponseBody):
    """A column of which many values look alike."""

    table: str = Field(examples=["public.customers"])
    column: str = Field(examples=["contact"])
    kind: str = Field(description="email, card, iban, jwt or private_key.", examples=["email"])
    matches: int = Field(examples=[187])
    values: int = Field(description="How many were read.", examples=[200])


class GuardSampleOut(ResponseBody):
    columns: list[SensitiveValuesOut]


def show_guard(guard: GuardOptions) -> GuardOut:
    return GuardOut(
        mode=guard.mode,
        columns={table: dict(marks) for table, marks in guard.columns.items()},
        tables=dict(guard.tables),
        strangers=guard.strangers,
        writers=dict(guard.writers),
    )
