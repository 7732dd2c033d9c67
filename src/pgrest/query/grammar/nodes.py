"""What the query string says, as values. Nothing here knows the database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

EmbedPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JsonStep:
    """`->key`, `->>key`, `->1`: one step into a JSON value."""

    arrow: Literal["->", "->>"]
    operand: str
    is_index: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    path: tuple[JsonStep, ...] = ()

    def list_names(self) -> Iterator[str]:
        """Lists the column, and the keys that are followed in its value."""
        yield self.name
        yield from (step.operand for step in self.path if not step.is_index)


Aggregate = Literal["sum", "avg", "count", "max", "min"]


@dataclass(frozen=True, slots=True)
class SelectField:
    """`alias:field::cast.sum()::cast`."""

    field: Field
    alias: str | None = None
    cast: str | None = None
    aggregate: Aggregate | None = None
    aggregate_cast: str | None = None


@dataclass(frozen=True, slots=True)
class SelectRelation:
    """`alias:target!hint!inner(items)`, or `...target(items)` when spread."""

    name: str
    items: tuple["SelectItem", ...]
    alias: str | None = None
    hint: str | None = None
    join: Literal["inner", "left"] | None = None
    is_spread: bool = False


SelectItem = SelectField | SelectRelation


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """`field.desc.nullslast`, or `relation(field).desc` on an embedded row."""

    field: Field
    direction: Literal["asc", "desc"] | None = None
    nulls: Literal["nullsfirst", "nullslast"] | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    operator: str
    value: str
    quantifier: Literal["any", "all"] | None = None

    @property
    def is_pattern(self) -> bool:
        """`*` stands for `%` in it, which would have to be escaped in an address."""
        return self.operator in ("like", "ilike")


@dataclass(frozen=True, slots=True)
class InList:
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IsTest:
    value: Literal["null", "not_null", "true", "false", "unknown"]


@dataclass(frozen=True, slots=True)
class DistinctFrom:
    value: str


@dataclass(frozen=True, slots=True)
class TextSearch:
    operator: Literal["fts", "plfts", "phfts", "wfts"]
    value: str
    language: str | None = None


Operation = Compare | InList | IsTest | DistinctFrom | TextSearch


@dataclass(frozen=True, slots=True)
class Filter:
    field: Field
    operation: Operation
    negated: bool = False

    def fields(self) -> Iterator[Field]:
        yield self.field


@dataclass(frozen=True, slots=True)
class Logic:
    operator: Literal["and", "or"]
    children: tuple["Condition", ...]
    negated: bool = False

    def fields(self) -> Iterator[Field]:
        for child in self.children:
            yield from child.fields()


Condition = Filter | Logic
