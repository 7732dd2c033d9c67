"""Finds rows whose foreign key would combine an earlier value with a newer one.

An undo restores column by column. Where the session set one column of a foreign key of several columns, and another
write has set another one since, both together may be the key of a row that neither write chose: it exists, so the
database would accept it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from basewarden.undo.planning.fold import Values as RowValues
from basewarden.undo.planning.plan import Dependency, RowPlan
from basewarden.undo.planning.planned_rows import PlannedRows, Values, Wanted
from basewarden.undo.planning.row_reader import RowReader
from pgrest import ForeignKey, Table


async def find_mixed_keys(reader: RowReader, situation: PlannedRows, table: Table, key: ForeignKey) -> list[Dependency]:
    """A row is no conflict where the newer value only followed its parent, by the session or by ON UPDATE CASCADE."""
    if len(key.columns) == 1:
        return []
    mixed = await asyncio.to_thread(_list_mixed, situation, table, key)
    renamed = await _find_renamed(reader, situation, table, key, mixed) if mixed else set()
    return [_make_dependency(situation, key, number) for number, _ in mixed if number not in renamed]


def _list_mixed(situation: PlannedRows, table: Table, key: ForeignKey) -> list[Wanted]:
    wanted = [
        (number, values)
        for number, values in situation.list_values(table, key.columns, RowPlan.gained_values)
        if 0 < len(_list_newer(situation.rows[number], key.columns)) < len(key.columns)
    ]
    if not wanted:
        return []
    parents = situation.find_gaining(situation.schema.tables[key.ref_table], key.ref_columns)
    return [
        (number, values) for number, values in wanted if not _is_carried(situation, key, number, parents.get(values))
    ]


def _list_newer(row: RowPlan, columns: Iterable[str]) -> list[str]:
    """The columns that will not have their value from before the session; one that was added since is not known."""
    original, target = row.change.original or {}, row.target or {}
    return [name for name in columns if name in original and target.get(name) != original[name]]


def _is_carried(situation: PlannedRows, key: ForeignKey, number: int, parent: int | None) -> bool:
    """Whether the row refers to `parent` now and after the undo, which restores the parent's key, too."""
    if parent is None:
        return False
    referred = situation.rows[parent].read_current(key.ref_columns)
    return situation.rows[number].read_current(key.columns) == referred


async def _find_renamed(
    reader: RowReader, situation: PlannedRows, table: Table, key: ForeignKey, mixed: Sequence[Wanted]
) -> set[int]:
    """The rows of which ON UPDATE CASCADE set the newer values, while their earlier parent got another key, too."""
    cascading = [one for one in table.foreign_keys_out if one.on_update == "CASCADE" and not one.is_temporal]
    if not cascading:
        return set()
    numbers = [number for number, _ in mixed]
    earlier = {number: situation.rows[number].change.original or {} for number in numbers}
    renamed = await _list_without_parent(reader, situation, key, earlier)
    left = {number: situation.rows[number].change.after or earlier[number] for number in renamed}
    followed: dict[int, set[str]] = {}
    for one in cascading:
        for number in await _list_without_parent(reader, situation, one, left):
            followed.setdefault(number, set()).update(one.columns)
    return {
        number
        for number in renamed
        if followed.get(number, set()).issuperset(_list_newer(situation.rows[number], key.columns))
    }


async def _list_without_parent(
    reader: RowReader, situation: PlannedRows, key: ForeignKey, rows: Mapping[int, RowValues]
) -> set[int]:
    """The rows whose values referred to a row that will have another key after the undo, or will not exist."""
    read = {number: tuple(values.get(name) for name in key.columns) for number, values in rows.items()}
    wanted: dict[int, Values] = {
        number: tuple(value or "" for value in values) for number, values in read.items() if None not in values
    }
    parent = situation.schema.tables[key.ref_table]
    distinct = list(dict.fromkeys(wanted.values()))
    remaining = await situation.find_staying(reader, parent, key.ref_columns, distinct)
    remaining |= situation.find_gaining(parent, key.ref_columns).keys()
    return {number for number, values in wanted.items() if values not in remaining}


def _make_dependency(situation: PlannedRows, key: ForeignKey, number: int) -> Dependency:
    newer = _list_newer(situation.rows[number], key.columns)
    earlier = ", ".join(name for name in key.columns if name not in newer)
    reason = (
        f"The foreign key ({', '.join(key.columns)}) to {'.'.join(key.ref_table)} would combine the earlier {earlier}"
        f" with the newer {', '.join(newer)}."
    )
    return Dependency(number, None, reason, key.columns)
