"""Reading rows of the project for an undo: what every way to them must be able to tell."""

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
    """The row `key` of a table holds what was asked for at `wanted`."""

    wanted: int
    key: Key


class RowReader(Protocol):
    async def list_ambiguous_tables(self) -> set[Name]:
        """Tables of which it is not known where a row lies."""

    async def read_rows(self, table: Table, keys: Iterable[Key]) -> Mapping[Key, Image]:
        """The rows that are there, whole."""

    async def read_defaults(self, table: Table, columns: Sequence[str]) -> Mapping[str, str | None]:
        """What rows that are older than these columns hold in them; a column is left out where that is not known."""

    async def find_holders(
        self, table: Table, columns: Sequence[str], values: Sequence[Exact]
    ) -> Sequence[HolderMatch]:
        """Which rows hold `values` in `columns`; a table without a key gives empty keys."""

    async def list_further_dependencies(
        self, rows: Sequence[RowPlan], dependencies: Sequence[Dependency]
    ) -> Sequence[Dependency]:
        """Other reasons why this strategy cannot restore a row."""
