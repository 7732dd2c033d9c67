"""The guard's settings as JSON."""

from typing import Annotated

from pydantic import Field, PlainValidator, TypeAdapter, WithJsonSchema

from basewarden.connections.guard.values import GuardOptions
from basewarden.connections.models import RPC, ColumnMark, GuardMode, TableMark
from basewarden.connections.schemas import MAX_TABLES, Identifier, Table
from basewarden.web import RequestBody, ResponseBody

MAX_MARKED_COLUMNS = 1000
_TABLES = TypeAdapter(Annotated[list[Table], Field(max_length=MAX_TABLES)])
_COLUMNS = TypeAdapter(list[Identifier])
_COLUMN_MARKS = TypeAdapter(list[ColumnMark])
_TABLE_MARKS = TypeAdapter(list[TableMark])


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
    if not isinstance(value, dict):
        raise ValueError('must be an object such as {"public.replies": "public"}')  # noqa: TRY004 - as pydantic takes it
    return dict(zip(_read_tables(list(value)), _TABLE_MARKS.validate_python(list(value.values())), strict=True))


def _read_tables(given: list[object]) -> list[str]:
    names = _TABLES.validate_python(given)
    if len(set(names)) < len(names):
        raise ValueError("names a table twice")
    if any(name.startswith(RPC) for name in names):
        raise ValueError("names a function")
    return names


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
    dict[str, TableMark],
    PlainValidator(read_table_marks),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": "string", "enum": [one.value for one in TableMark]},
            "maxProperties": MAX_TABLES,
        }
    ),
]


class GuardChange(RequestBody):
    """All of the settings: a mark that is not sent is removed. A table without a schema is one of `public`."""

    mode: GuardMode
    columns: ColumnMarks = Field(default_factory=dict)
    tables: TableMarks = Field(default_factory=dict)

    def as_guard(self) -> GuardOptions:
        return GuardOptions(self.mode, self.columns, self.tables)


class GuardOut(ResponseBody):
    mode: GuardMode
    columns: dict[str, dict[str, ColumnMark]] = Field(examples=[{"public.customers": {"nickname": "sensitive"}}])
    tables: dict[str, TableMark] = Field(examples=[{"public.replies": "public"}])


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
    )
