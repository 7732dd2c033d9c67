"""Rows that do not stand as planned once all is written, because triggers wrote over them; and putting them right."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from basewarden.journal import Image
from basewarden.undo.direct.reader import AT_ONCE, read_rows
from basewarden.undo.direct.trigger_bypass import Left, Overwrite, write_past_triggers
from basewarden.undo.execution.failures import Refused
from basewarden.undo.planning.plan import RowPlan, make_conflict
from basewarden.undo.planning.row_reader import Key
from basewarden.undo.receipt import count_rows
from pgrest import DbConnection, Name, Table

_NUMBERS = "N"  # pg_type.typcategory
_REASONS: Mapping[Left, str] = {
    "busy": "others were using the table, so it could not be switched off; undo once more to bring this back",
    "not allowed": "the connection's role may not switch it off",
}


@dataclass(frozen=True, slots=True)
class Stray:
    """`image` is how the row stands, `columns` are those in which it differs from the plan."""

    row: RowPlan
    image: Image
    columns: tuple[str, ...]

    @property
    def overwrite(self) -> Overwrite:
        return Overwrite(self.image, {name: (self.row.target or {})[name] for name in self.columns})


@dataclass(frozen=True, slots=True)
class PutRight:
    """What had to be left, in words, and how many rows of each table were deleted and inserted."""

    notes: tuple[str, ...]
    replaced: Counter[Name]


async def put_right(connection: DbConnection, rows: Sequence[RowPlan]) -> PutRight:
    """Columns that triggers wrote over are written once more without them. What is left must be stamps."""
    strays = await find_strays(connection, rows)
    groups: dict[int, list[Stray]] = {}
    for stray in strays:
        groups.setdefault(stray.row.table.oid, []).append(stray)
    left: dict[int, Left] = {}
    replaced: Counter[Name] = Counter()
    for oid, group in groups.items():
        table = group[0].row.table
        reason, count = await write_past_triggers(connection, table, [stray.overwrite for stray in group])
        replaced[table.counted_as] += count
        if reason is not None:
            left[oid] = reason
    again = await find_strays(connection, [stray.row for stray in strays]) if strays else []
    return PutRight(_describe_left(again, left), replaced)


async def find_strays(connection: DbConnection, rows: Sequence[RowPlan]) -> list[Stray]:
    """Rows that do not stand as planned, with the columns in which they differ."""
    found = await read_all(connection, ((row.table, row.target_key) for row in rows))
    return await asyncio.to_thread(_compare, rows, found)


def _compare(rows: Sequence[RowPlan], found: Mapping[int, Mapping[Key, Image]]) -> list[Stray]:
    strays: list[Stray] = []
    for row in rows:
        if row.target is None:
            continue
        image = found.get(row.table.oid, {}).get(row.target_key or ())
        if image is None:
            raise Refused(
                [make_conflict(row.change, "The database did not take the row back: a trigger or rule stopped it.")]
            )
        columns = tuple(name for name in (*row.written, *row.kept) if image.exact[name] != row.target[name])
        columns = tuple(name for name in columns if not _is_adjusted(row, name))
        if columns:
            strays.append(Stray(row, image, columns))
    return strays


def _is_adjusted(row: RowPlan, name: str) -> bool:
    """A count that triggers of other tables keep: they counted the rows that this undo brought or took away."""
    table, change = row.table, row.change.columns.get(name)
    if row.action != "update" or table.columns[name].category != _NUMBERS or change is None or change.is_stamp:
        return False
    watched = any("UPDATE" in trigger.events and trigger.enabled != "D" for trigger in table.triggers)
    return not watched and not any(name in key.columns for key in table.foreign_keys_out)


def _describe_left(strays: Sequence[Stray], reasons: Mapping[int, Left]) -> tuple[str, ...]:
    refused = []
    left: dict[tuple[str, tuple[str, ...], Left], int] = {}
    for stray in strays:
        row, columns = stray.row, stray.columns
        wrong = tuple(name for name in columns if not _is_stamp(row, name))
        if wrong:
            refused.append(make_conflict(row.change, "A trigger keeps these columns from going back.", wrong))
        else:
            place = (f"{row.table.schema}.{row.table.name}", columns, reasons.get(row.table.oid, "not allowed"))
            left[place] = left.get(place, 0) + 1
    if refused:
        raise Refused(refused)
    return tuple(
        f"{', '.join(columns)} of {count_rows(count)} of {name}: a trigger sets it, and {_REASONS[reason]}."
        for (name, columns, reason), count in left.items()
    )


def _is_stamp(row: RowPlan, name: str) -> bool:
    if name in row.edited:
        return False
    change = row.change.columns.get(name)
    return name in row.kept or row.action == "insert" or (change is not None and change.is_stamp)


async def read_all(
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
    for start in range(0, len(keys), AT_ONCE):
        found.update(await read_rows(connection, table, keys[start : start + AT_ONCE], lock=False))
    return found
