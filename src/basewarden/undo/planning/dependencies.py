"""Finds what each planned row depends on: free unique values, parents that exist, children that leave."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from basewarden.undo.planning.mixed_keys import find_mixed_keys
from basewarden.undo.planning.plan import Dependency, RowPlan
from basewarden.undo.planning.planned_rows import PlannedRows, Values, Wanted
from basewarden.undo.planning.row_reader import HolderMatch, RowReader
from basewarden.undo.receipt import count_rows
from pgrest import ForeignKey, Schema, Table


async def collect_dependencies(reader: RowReader, schema: Schema, rows: Sequence[RowPlan]) -> list[Dependency]:
    situation = PlannedRows(schema, rows)
    dependencies: list[Dependency] = []
    await asyncio.to_thread(lambda: (situation.by_table, situation.by_current_key))
    for name in situation.by_table:
        table = rows[situation.by_table[name][0]].table
        for unique in table.unique_keys:
            dependencies += await _depend_on_free_values(reader, situation, table, unique.columns)
        for key in filter(_is_checked_by_equality, table.foreign_keys_out):
            dependencies += await find_mixed_keys(reader, situation, table, key)
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
    staying = await situation.find_staying(reader, parent, key.ref_columns, distinct)
    return await asyncio.to_thread(_depend_on_restored_parents, situation, parent, key, wanted, staying)


def _depend_on_restored_parents(
    situation: PlannedRows, parent: Table, key: ForeignKey, wanted: Sequence[Wanted], staying: Collection[Values]
) -> list[Dependency]:
    coming = situation.find_gaining(parent, key.ref_columns)
    reason = f"The row of {_name(parent)} that it refers to no longer exists."
    return [
        Dependency(number, coming.get(values), reason, key.columns)
        for number, values in wanted
        if values not in staying and coming.get(values) != number
    ]


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
