"""Rows that exchange unique values among themselves: one of each must step aside first.

PostgreSQL checks a unique key that is not deferrable at every row, so two rows cannot swap in one statement.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from basewarden.pgrest import Column, Table
from basewarden.undo.plan import RowPlan
from basewarden.undo.reading import Exact, Key
from basewarden.undo.steps import Step, make_update

_HIGHEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


@dataclass(slots=True)
class Parking:
    """What has to be written before the main statement, and the keys that rows have meanwhile."""

    steps: list[Step] = field(default_factory=list)
    keys: dict[tuple[int, Key], Key] = field(default_factory=dict)


def park_values(rows: Sequence[RowPlan]) -> Parking:
    """Only rows whose present value another row is about to take."""
    parking = Parking()
    groups: dict[tuple[int, tuple[str, ...]], list[RowPlan]] = {}
    for row in rows:
        if row.action != "update":
            continue
        for unique in row.table.unique_keys:
            if unique.is_immediate and not set(unique.columns).isdisjoint(row.restored):
                groups.setdefault((row.table.oid, unique.columns), []).append(row)
    for (_, columns), group in groups.items():
        _park_group(parking, columns, group)
    return parking


def _park_group(parking: Parking, columns: tuple[str, ...], group: Sequence[RowPlan]) -> None:
    table = group[0].table
    wanted = {tuple((row.target or {})[name] for name in columns) for row in group}
    held = [row for row in group if row.current and tuple(row.current.exact[name] for name in columns) in wanted]
    column = next((name for name in columns if _can_park(table, name) and name in group[0].restored), None)
    if column is None or not held:
        return
    values: dict[Key, Exact] = {}
    for number, row in enumerate(held):
        place = (table.oid, row.current_key or ())
        key = parking.keys.get(place, place[1])
        value = _make_parked(table, column, number)
        values[key] = (value,)
        if column in table.key:
            parking.keys[place] = _replace(table.key, key, column, value or "")
    parking.steps.append(make_update(table, (column,), values))


def _replace(columns: tuple[str, ...], key: Key, column: str, value: str) -> Key:
    return tuple(value if name == column else part for name, part in zip(columns, key, strict=True))


def _can_park(table: Table, name: str) -> bool:
    column = table.columns[name]
    if column.generated or column.identity == "a":
        return False
    return column.nullable or column.type in _HIGHEST or _is_free_text(column) or column.type == "uuid"


def _is_free_text(column: Column) -> bool:
    return column.type in ("text", "character varying")


def _make_parked(table: Table, name: str, number: int) -> str | None:
    """A value that nobody uses: from the top of whole numbers, for checks mostly ask that they be positive."""
    column = table.columns[name]
    if column.nullable:
        return None
    if column.type in _HIGHEST:
        return str(_HIGHEST[column.type] - number)
    return str(uuid4()) if column.type == "uuid" else f"parked-{uuid4().hex}"
