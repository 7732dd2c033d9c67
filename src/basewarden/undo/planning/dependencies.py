"""Finds what each planned row depends on: free unique values, parents that exist, children that leave."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from basewarden.undo.planning.plan import Dependency, RowPlan
from basewarden.undo.planning.row_reader import HolderMatch, Key, RowReader
from basewarden.undo.receipt import count_rows
from pgrest import ForeignKey, Name, Schema, Table

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


async def collect_dependencies(reader: RowReader, schema: Schema, rows: Sequence[RowPlan]) -> list[Dependency]:
    situation = PlannedRows(schema, rows)
    dependencies: list[Dependency] = []
    await asyncio.to_thread(lambda: (situation.by_table, situation.by_current_key))
    for name in situation.by_table:
        table = rows[situation.by_table[name][0]].table
        for unique in table.unique_keys:
            dependencies += await _depend_on_free_values(reader, situation, table, unique.columns)
        for key in filter(_is_checked_by_equality, table.foreign_keys_out):
            dependencies += await _depend_on_parents(reader, situation, table, key)
        for key in filter(_is_checked_by_equality, table.foreign_keys_in):
            dependencies += await _depend_on_children(reader, situation, table, key)
    return dependencies


def _is_checked_by_equality(key: ForeignKey) -> bool:
    """Temporal keys are excluded: only the database can check whether periods are covered, after the write."""
    return key.is_enforced and not key.is_temporal


async def _depend_on_free_values(
    reader: RowReader, situation: PlannedRows, table: Table, columns: Sequence[str]
) -> list[Dependency]:
    """A unique value can be restored if no other row has it, or if its holder gives it up in this undo."""
    wanted = await asyncio.to_thread(situation.list_values, table, columns, RowPlan.gained_values)
    matches = await reader.find_holders(table, columns, [values for _, values in wanted])
    return await asyncio.to_thread(_depend_on_holders, situation, table, columns, wanted, matches)


def _depend_on_holders(
    situation: PlannedRows,
    table: Table,
    columns: Sequence[str],
    wanted: Sequence[Wanted],
    matches: Iterable[HolderMatch],
) -> list[Dependency]:
    dependencies = []
    for match in matches:
        number, values = wanted[match.wanted]
        holder = situation.by_current_key.get((table.qualified, match.key)) if match.key else None
        if holder == number:
            continue
        leaves = holder is not None and not situation.rows[holder].will_hold(columns, values)
        reason = f"Another row now has its {', '.join(columns)}."
        dependencies.append(Dependency(number, holder if leaves else None, reason, tuple(columns)))
    return dependencies


async def _depend_on_parents(
    reader: RowReader, situation: PlannedRows, table: Table, key: ForeignKey
) -> list[Dependency]:
    wanted = await asyncio.to_thread(situation.list_values, table, key.columns, RowPlan.gained_values)
    if not wanted:
        return []
    parent = situation.schema.tables[key.ref_table]
    distinct = list(dict.fromkeys(values for _, values in wanted))
    matches = await reader.find_holders(parent, key.ref_columns, distinct)
    return await asyncio.to_thread(_depend_on_restored_parents, situation, parent, key, wanted, distinct, matches)


def _depend_on_restored_parents(
    situation: PlannedRows,
    parent: Table,
    key: ForeignKey,
    wanted: Sequence[Wanted],
    distinct: Sequence[Values],
    matches: Iterable[HolderMatch],
) -> list[Dependency]:
    staying = set()
    for match in matches:
        values = distinct[match.wanted]
        holder = situation.by_current_key.get((parent.qualified, match.key)) if match.key else None
        if holder is None or situation.rows[holder].will_hold(key.ref_columns, values):
            staying.add(values)
    coming = _find_restored_parents(situation, parent, key)
    reason = f"The row of {_name(parent)} that it refers to no longer exists."
    return [
        Dependency(number, coming.get(values), reason, key.columns)
        for number, values in wanted
        if values not in staying and coming.get(values) != number
    ]


def _find_restored_parents(situation: PlannedRows, parent: Table, key: ForeignKey) -> Mapping[Values, int]:
    """The parents that this undo restores, by the values that children refer to."""
    return {values: number for number, values in situation.list_values(parent, key.ref_columns, RowPlan.gained_values)}


async def _depend_on_children(
    reader: RowReader, situation: PlannedRows, table: Table, key: ForeignKey
) -> list[Dependency]:
    """Rows that refer to a removed row would be deleted, changed or left dangling, as ON DELETE says."""
    wanted = await asyncio.to_thread(situation.list_values, table, key.ref_columns, RowPlan.lost_values)
    if not wanted:
        return []
    child = situation.schema.tables[key.table]
    matches = await reader.find_holders(child, key.columns, [values for _, values in wanted])
    return await asyncio.to_thread(_depend_on_deleted_children, situation, child, key, wanted, matches)


def _depend_on_deleted_children(
    situation: PlannedRows, child: Table, key: ForeignKey, wanted: Sequence[Wanted], matches: Iterable[HolderMatch]
) -> list[Dependency]:
    strangers: Counter[int] = Counter()
    dependencies = []
    for match in matches:
        number, values = wanted[match.wanted]
        holder = situation.by_current_key.get((child.qualified, match.key)) if match.key else None
        if holder is None or situation.rows[holder].will_hold(key.columns, values):
            strangers[number] += 1
        elif holder != number:
            dependencies.append(Dependency(number, holder, f"A row of {_name(child)} that refers to it is not undone."))
    dependencies += [
        Dependency(number, None, f"{count_rows(count)} of {_name(child)} refer to it now.")
        for number, count in strangers.items()
    ]
    return dependencies


def _name(table: Table) -> str:
    return f"{table.schema}.{table.name}"
