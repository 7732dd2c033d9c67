"""The interface by which planning reads the project's rows, over a database connection or over an API."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from basewarden.journal import Image
from basewarden.undo.planning.plan import Dependency, RowPlan
from pgrest import Name, Table

Key = tuple[str, ...]
Exact = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class HolderMatch:
    """The row `key` of a table holds the values at position `wanted`."""

    wanted: int
    key: Key


class RowReader(Protocol):
    async def list_ambiguous_tables(self) -> set[Name]:
        """Tables whose rows may be in another table, by inheritance."""

    async def read_rows(self, table: Table, keys: Iterable[Key]) -> Mapping[Key, Image]:
        """The rows that exist, with all columns."""

    async def read_defaults(self, table: Table, columns: Sequence[str]) -> Mapping[str, str | None]:
        """The values that existing rows got when these columns were added; a column is left out where it is unknown."""

    async def compute_generated(self, rows: Sequence[RowPlan]) -> Sequence[RowPlan]:
        """The rows with what their generated columns will hold, as far as it can be known."""

    async def find_holders(
        self, table: Table, columns: Sequence[str], values: Sequence[Exact]
    ) -> Sequence[HolderMatch]:
        """Finds the rows that hold `values` in `columns`; a table without a key gives empty keys."""

    async def list_further_dependencies(
        self, rows: Sequence[RowPlan], dependencies: Sequence[Dependency]
    ) -> Sequence[Dependency]:
        """Other reasons why this strategy cannot restore a row."""
