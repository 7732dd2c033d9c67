"""The planned shape of a result: one node per table, the root's result being the answer.

Everything here is held against the snapshot already; SQL follows from it without another decision.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pgrest.config import Name
from pgrest.query.grammar.nodes import Aggregate, JsonStep, Operation
from pgrest.query.ranges import ALL_ROWS, Range
from pgrest.schema.model import ComputedColumn, OwnOperators, Relationship, Table


@dataclass(frozen=True, slots=True)
class SearchVector:
    """A column that is searched as text, `to_tsvector(language, column)`."""

    language: str | None


@dataclass(frozen=True, slots=True)
class Mask:
    """The same for every row, whatever its value is, and where it has none."""

    text: str | None


@dataclass(frozen=True, slots=True)
class ColumnRef:
    name: str
    path: tuple[JsonStep, ...] = ()
    is_json: bool = False
    transform: Name | None = None
    """The function of a domain's cast that its values go through on their way in or out."""
    search: SearchVector | None = None
    is_whole_row: bool = False
    own_operators: OwnOperators | None = None
    """Those of its type, where that is not PostgreSQL's own."""
    computed: ComputedColumn | None = None
    """The function that is called with the row."""
    is_returned: bool = False
    """Whether that was done where the rows come from, so that it is a column here."""
    is_bare: bool = False
    """Named without its relation: written so it cannot mean a function."""
    mask: Mask | None = None
    """What is shown instead of its value, which is not read."""


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the result."""

    column: ColumnRef
    alias: str | None = None
    cast: str | None = None
    aggregate: Aggregate | None = None
    aggregate_cast: str | None = None
    relation: str | None = None
    """The embedded row that it is taken from, when that is not the node's own."""
    max_characters: int | None = None
    """A text is cut in the database after so many."""

    @property
    def name(self) -> str:
        return self.alias or self.column.name


@dataclass(frozen=True, slots=True)
class Test:
    column: ColumnRef
    operation: Operation
    negated: bool

    def columns(self) -> Iterator[ColumnRef]:
        yield self.column

    def computed(self) -> Iterator[ComputedColumn]:
        if self.column.computed is not None:
            yield self.column.computed


@dataclass(frozen=True, slots=True)
class EmbedTest:
    """Whether an embedded resource has rows at all."""

    alias: str
    is_empty: bool

    def columns(self) -> Iterator[ColumnRef]:
        return iter(())

    def computed(self) -> Iterator[ComputedColumn]:
        return iter(())


@dataclass(frozen=True, slots=True)
class BooleanTree:
    operator: Literal["and", "or"]
    children: tuple["TreeCondition", ...]
    negated: bool

    def columns(self) -> Iterator[ColumnRef]:
        for child in self.children:
            yield from child.columns()

    def computed(self) -> Iterator[ComputedColumn]:
        return (one.computed for one in self.columns() if one.computed is not None)


TreeCondition = Test | EmbedTest | BooleanTree


@dataclass(frozen=True, slots=True)
class OrderBy:
    column: ColumnRef
    direction: Literal["asc", "desc"] | None
    nulls: Literal["nullsfirst", "nullslast"] | None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class SpreadField:
    """A column of an embedded row that is lifted into its parent."""

    name: str
    aggregate: Aggregate | None = None
    aggregate_cast: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Embed:
    """A child as its parent shows it: as a JSON value of its own, or spread into the parent's columns."""

    node: "ReadNode"
    fields: tuple[SpreadField, ...] = ()
    is_hidden: bool = False
    """Nothing of it is selected (`clients()`): it is there to filter by."""


@dataclass(frozen=True, slots=True)
class ReadNode:
    source: Name
    alias: str
    table: Table | None
    outputs: tuple[Output, ...]
    conditions: tuple[TreeCondition, ...] = ()
    order: tuple[OrderBy, ...] = ()
    range: Range = ALL_ROWS
    embeds: tuple[Embed, ...] = ()
    # How the node hangs on its parent:
    name: str = ""
    aggregate_alias: str = ""
    relationship: Relationship | None = None
    is_inner: bool = False
    spread: Literal["one", "many"] | None = None
    spread_extras: tuple[Output, ...] = ()
    spread_order: tuple[OrderBy, ...] = ()
    junction_alias: str = ""
    key_operators: tuple[OwnOperators | None, ...] = ()
    """Of the columns that join the node, or its junction, to the parent."""
    target_operators: tuple[OwnOperators | None, ...] = ()
    """Of those that join the junction to the node."""

    @property
    def is_to_one(self) -> bool:
        return self.relationship is not None and self.relationship.is_to_one

    @property
    def selects_everything(self) -> bool:
        """`select=*` and no more, the shape that a custom media type's handler takes."""
        return not self.embeds and [output.column.name for output in self.outputs] == ["*"]

    def walk(self) -> Iterator["ReadNode"]:
        yield self
        for embed in self.embeds:
            yield from embed.node.walk()

    def tables(self) -> Iterator[Name]:
        """Every table, view and junction that is read, the root's included."""
        for node in self.walk():
            if node.table is not None:
                yield node.table.qualified
            if node.relationship is not None:
                yield node.relationship.target
                if node.relationship.junction is not None:
                    yield node.relationship.junction.table
