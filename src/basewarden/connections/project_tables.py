"""The names of a project's tables, as the gateway provides them to the form and the snippets of an agent."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ExampleTable:
    """A table for a snippet: plain names, and values for a filter by key and for a column to change."""

    name: str
    key: str
    key_value: str | int
    column: str
    value: str | int | bool


ListTables = Callable[[UUID], Awaitable[Sequence[str] | None]]
ListColumns = Callable[[UUID, str], Awaitable[Sequence[str] | None]]
FindExample = Callable[[UUID, Sequence[str] | None, Mapping[str, Collection[str]]], Awaitable[ExampleTable | None]]


@dataclass(frozen=True, slots=True)
class ProjectTables:
    """`list_names` gives `schema.table`, `list_columns` the columns of such a table.

    All give None where the project does not answer soon, or lists no tables.
    """

    list_names: ListTables
    list_columns: ListColumns
    find_example: FindExample
