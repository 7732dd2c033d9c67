"""Finds rows that are not as planned after the write, because triggers overwrote them, and restores them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from basewarden.journal import Image
from basewarden.undo.direct.reader import ROWS_AT_ONCE, read_rows
from basewarden.undo.direct.trigger_bypass import BypassFailure, ColumnRestore, write_bypassing_triggers
from basewarden.undo.execution.conflicts import make_kept_by_trigger, make_not_restored
from basewarden.undo.execution.failures import PlanRejected
from basewarden.undo.execution.verification import (
    describe_overwritten,
    list_mismatched_columns,
    list_not_restored,
)
from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.planning.row_reader import Key
from pgrest import DbConnection, Name, Table

_NUMBERS = "N"  # pg_type.typcategory
_REASONS: Mapping[BypassFailure, str] = {
    "busy": "the table was in use, so the trigger could not be disabled; undo again to restore this",
    "not allowed": "the connection's role may not disable it",
}


@dataclass(frozen=True, slots=True)
class RowMismatch:
    """`image` is the row as it is, `columns` are those in which it differs from the plan."""

    row: RowPlan
    image: Image
    columns: tuple[str, ...]

    @property
    def overwrite(self) -> ColumnRestore:
        return ColumnRestore(self.image, {name: (self.row.target or {})[name] for name in self.columns})


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """Notes on what stays overwritten, and how many rows of each table were deleted and inserted."""

    notes: tuple[str, ...]
    replaced: Counter[Name]


async def restore_overwritten(connection: DbConnection, rows: Sequence[RowPlan]) -> RestoreResult:
    """Writes overwritten columns again, bypassing triggers. Columns that stay overwritten must be trigger-set."""
    mismatches = await find_mismatches(connection, rows)
    groups: dict[int, list[RowMismatch]] = {}
    for mismatch in mismatches:
        groups.setdefault(mismatch.row.table.oid, []).append(mismatch)
    left: dict[int, BypassFailure] = {}
    replaced: Counter[Name] = Counter()
    for oid, group in groups.items():
        table = group[0].row.table
        reason, count = await write_bypassing_triggers(connection, table, [mismatch.overwrite for mismatch in group])
        replaced[table.counted_as] += count
        if reason is not None:
            left[oid] = reason
    again = await find_mismatches(connection, [mismatch.row for mismatch in mismatches]) if mismatches else []
    return RestoreResult(_describe_left(again, left), replaced)


async def find_mismatches(connection: DbConnection, rows: Sequence[RowPlan]) -> list[RowMismatch]:
    """The rows that are not as planned, with the columns in which they differ."""
    found = await read_rows_by_table(connection, ((row.table, row.target_key) for row in rows))
    return await asyncio.to_thread(_compare, rows, found)


def _compare(rows: Sequence[RowPlan], found: Mapping[int, Mapping[Key, Image]]) -> list[RowMismatch]:
    mismatches: list[RowMismatch] = []
    for row in rows:
        if row.target is None:
            continue
        image = found.get(row.table.oid, {}).get(row.target_key or ())
        if image is None:
            raise PlanRejected([make_not_restored(row)])
        differing = list_mismatched_columns(row, image)
        columns = tuple(name for name in differing if not _is_derived_count(row, name))
        if columns:
            mismatches.append(RowMismatch(row, image, columns))
    return mismatches


def _is_derived_count(row: RowPlan, name: str) -> bool:
    """Whether triggers of other tables maintain this count: they counted the rows that the undo added or removed."""
    table, change = row.table, row.change.columns.get(name)
    if row.action != "update" or table.columns[name].category != _NUMBERS or change is None or change.is_trigger_set:
        return False
    watched = any("UPDATE" in trigger.events and trigger.enabled != "D" for trigger in table.triggers)
    return not watched and not any(name in key.columns for key in table.foreign_keys_out)


def _describe_left(mismatches: Sequence[RowMismatch], reasons: Mapping[int, BypassFailure]) -> tuple[str, ...]:
    """Raises PlanRejected where a column may not stay overwritten."""
    rejected = [
        make_kept_by_trigger(mismatch.row, columns)
        for mismatch in mismatches
        if (columns := list_not_restored(mismatch.row, mismatch.columns))
    ]
    if rejected:
        raise PlanRejected(rejected)
    overwritten = Counter(
        (f"{row.table.schema}.{row.table.name}", mismatch.columns, _REASONS[reasons.get(row.table.oid, "not allowed")])
        for mismatch in mismatches
        for row in (mismatch.row,)
    )
    return describe_overwritten(overwritten)


async def read_rows_by_table(
    connection: DbConnection, places: Iterable[tuple[Table, Key | None]]
) -> Mapping[int, Mapping[Key, Image]]:
    tables, keys = await asyncio.to_thread(_group_keys, places)
    return {oid: await _read_parts(connection, tables[oid], keys[oid]) for oid in tables}


def _group_keys(places: Iterable[tuple[Table, Key | None]]) -> tuple[dict[int, Table], dict[int, list[Key]]]:
    tables: dict[int, Table] = {}
    keys: dict[int, list[Key]] = {}
    for table, key in places:
        if key is not None:
            tables[table.oid] = table
            keys.setdefault(table.oid, []).append(key)
    return tables, keys


async def _read_parts(connection: DbConnection, table: Table, keys: Sequence[Key]) -> Mapping[Key, Image]:
    found: dict[Key, Image] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        found.update(await read_rows(connection, table, keys[start : start + ROWS_AT_ONCE], lock=False))
    return found
