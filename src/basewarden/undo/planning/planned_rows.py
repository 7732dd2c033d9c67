"""The rows of a plan while their dependencies are found: each was decided by itself."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.planning.row_reader import HolderMatch, Key, RowReader
from pgrest import Name, Schema, Table

Values = tuple[str, ...]
Wanted = tuple[int, Values]
"""A row's number, and the values to look for."""


@dataclass(frozen=True)
class PlannedRows:
    """The rows that were decided by themselves, by key and by table."""

    schema: Schema
    rows: Sequence[RowPlan]

    @cached_property
    def by_current_key(self) -> Mapping[tuple[Name, Key], int]:
        return {
            (row.table.qualified, row.current_key): number
            for number, row in enumerate(self.rows)
            if row.current_key is not None
        }

    @cached_property
    def by_table(self) -> Mapping[Name, Sequence[int]]:
        numbers: dict[Name, list[int]] = {}
        for number, row in enumerate(self.rows):
            numbers.setdefault(row.table.qualified, []).append(number)
        return numbers

    def list_values(
        self, table: Table, columns: Sequence[str], read: Callable[[RowPlan, Sequence[str]], Values | None]
    ) -> list[Wanted]:
        """The rows of the table for which `read` returns values. Slow for very many rows."""
        found = ((number, read(self.rows[number], columns)) for number in self.by_table.get(table.qualified, ()))
        return [(number, values) for number, values in found if values is not None]

    def find_gaining(self, table: Table, columns: Sequence[str]) -> Mapping[Values, int]:
        """The rows that this undo gives values in `columns` which they do not hold now, by these values."""
        return {values: number for number, values in self.list_values(table, columns, RowPlan.gained_values)}

    async def find_staying(
        self, reader: RowReader, table: Table, columns: Sequence[str], values: Sequence[Values]
    ) -> set[Values]:
        """Those of the values that a row of the table holds in `columns` now and after the undo."""
        matches = await reader.find_holders(table, columns, values)
        return await asyncio.to_thread(self._keep_staying, table, columns, values, matches)

    def _keep_staying(
        self, table: Table, columns: Sequence[str], values: Sequence[Values], matches: Iterable[HolderMatch]
    ) -> set[Values]:
        staying = set()
        for match in matches:
            holder = self.by_current_key.get((table.qualified, match.key)) if match.key else None
            if holder is None or self.rows[holder].will_hold(columns, values[match.wanted]):
                staying.add(values[match.wanted])
        return staying
