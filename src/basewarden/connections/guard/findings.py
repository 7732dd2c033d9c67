"""What the guard finds in a project, as the gateway provides it to the page of the settings."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class GuardedTable:
    """A table as `schema.table`, its sensitive columns, and who reads it beyond those that the owner trusts.

    `names` are all its columns, `by_strangers` those whose words strangers may have written, `named` those that are
    sensitive by their names, whatever the owner marked.
    """

    name: str
    columns: Sequence[str]
    readers: Sequence[str]
    by_strangers: Sequence[str] = ()
    names: Sequence[str] = ()
    named: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SensitiveValues:
    """A column of which many values look alike: `matches` of the `values` that were read."""

    table: str
    column: str
    kind: str
    matches: int
    values: int


@dataclass(frozen=True, slots=True)
class GuardFindings:
    """`list_tables` gives None where the project does not answer soon, or lists no tables.

    `sample_values` reads some rows of each table. Raises AppError where it has no connection string or no answer.
    """

    list_tables: Callable[[UUID], Awaitable[Sequence[GuardedTable] | None]]
    sample_values: Callable[[UUID], Awaitable[Sequence[SensitiveValues]]]
