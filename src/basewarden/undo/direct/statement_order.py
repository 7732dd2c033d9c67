"""Decides in which statement, and at which position in it, each row is written. Pure.

PostgreSQL checks foreign keys and runs their actions when a statement ends, and unique keys row by row. So one
statement allows cycles of references, and its parts run one after the other: deletes, updates by rank, inserts. Two
cases need more. A row that takes a unique value is written after the row that gives it up: this is its rank. And ON
UPDATE CASCADE would also change rows that just got the value which their parent gives up: they are written by the next
statement: this is their stage.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from basewarden.undo.direct.unique_collisions import Collision
from basewarden.undo.planning.components import find_components
from basewarden.undo.planning.plan import RowPlan
from pgrest import ForeignKey, Name

Values = tuple[str, ...]
_MOST_STAGES = 20
_NO_PLACEHOLDERS: Mapping[str, str | None] = {}


@dataclass(slots=True)
class StageOrder:
    """Stages and ranks by row number; rows without an entry come first."""

    stages: dict[int, int] = field(default_factory=dict)
    ranks: dict[int, int] = field(default_factory=dict)

    def of(self, number: int) -> tuple[int, int]:
        return self.stages.get(number, 0), self.ranks.get(number, 0)


@dataclass(slots=True)
class PlaceholderState:
    """The placeholders that rows hold instead of their values, by row number."""

    values: dict[int, dict[str, str | None]] = field(default_factory=dict)

    def read(self, rows: Sequence[RowPlan], number: int, columns: Sequence[str]) -> tuple[str | None, ...]:
        return rows[number].read_current(columns, self.of(number))

    def of(self, number: int) -> Mapping[str, str | None]:
        return self.values.get(number, _NO_PLACEHOLDERS)

    def find_key(self, rows: Sequence[RowPlan], number: int) -> Values:
        row = rows[number]
        if number not in self.values:
            return row.current_key or ()
        return tuple(value or "" for value in self.read(rows, number, row.table.key))


def rank_updates(collisions: Iterable[Collision]) -> tuple[dict[int, int], list[tuple[int, ...]]]:
    """Ranks each taker after its holder, and returns the cycles, in which no row can be first."""
    waits: dict[int, list[int]] = {}
    numbers: dict[int, None] = {}
    for collision in collisions:
        waits.setdefault(collision.taker, []).append(collision.holder)
        numbers |= dict.fromkeys((collision.holder, collision.taker))
    groups = find_components(numbers, waits)
    ranks: dict[int, int] = {}
    for group in groups:  # holders come before their takers
        for number in group:
            ranks[number] = max((ranks.get(holder, -1) + 1 for holder in waits.get(number, ())), default=0)
    return ranks, [group for group in groups if len(group) > 1]


def order_rows(rows: Sequence[RowPlan], ranks: Mapping[int, int], placeholders: PlaceholderState) -> StageOrder:
    stage_order = StageOrder({}, dict(ranks))
    strict = _find_stage_breaks(rows, placeholders)
    if strict:
        loose = [*_order_by_references(rows, placeholders), *_order_by_unique_values(rows, placeholders)]
        stage_order.stages = _assign_stages(strict, loose)
    return stage_order


Edge = tuple[int, int]
"""(first, then)"""


def _assign_stages(strict: Sequence[Edge], loose: Sequence[Edge]) -> dict[int, int]:
    """The earliest stage of each row; empty (one stage for all) where no order exists."""
    stages: dict[int, int] = {}
    edges = [*((first, then, 1) for first, then in strict), *((first, then, 0) for first, then in loose)]
    has_moved = True
    while has_moved:
        has_moved = False
        for first, then, distance in edges:
            stage = stages.get(first, 0) + distance
            if stage > stages.get(then, 0):
                if stage > _MOST_STAGES:
                    return {}
                stages[then] = stage
                has_moved = True
    return stages


_Read = Callable[[RowPlan, Sequence[str], Mapping[str, str | None]], Values | None]


def _list_keys(rows: Sequence[RowPlan]) -> tuple[Mapping[Name, list[int]], list[ForeignKey]]:
    by_table: dict[Name, list[int]] = {}
    for number, row in enumerate(rows):
        by_table.setdefault(row.table.qualified, []).append(number)
    keys = [
        key
        for numbers in by_table.values()
        for key in rows[numbers[0]].table.foreign_keys_out
        if key.ref_table in by_table and key.is_enforced and not key.is_temporal
    ]
    return by_table, keys


def _find_stage_breaks(rows: Sequence[RowPlan], placeholders: PlaceholderState) -> list[Edge]:
    """A row that gets a value which its parent loses must wait until the action on that loss has run."""
    by_table, keys = _list_keys(rows)
    edges = []
    for key in keys:
        if key.on_update == key.on_delete == "NO ACTION":
            continue
        losing = {
            values: number
            for number in by_table[key.ref_table]
            if _has_action(rows[number], key)
            and (values := rows[number].lost_values(key.ref_columns, placeholders.of(number))) is not None
        }
        if not losing:
            continue
        for number in by_table[key.table]:
            values = rows[number].gained_values(key.columns, placeholders.of(number))
            first = losing.get(values) if values is not None else None
            if first is not None and first != number:
                edges.append((first, number))
    return edges


def _has_action(row: RowPlan, key: ForeignKey) -> bool:
    action = {"delete": key.on_delete, "update": key.on_update}.get(row.action, "NO ACTION")
    return action != "NO ACTION"


def _order_by_references(rows: Sequence[RowPlan], placeholders: PlaceholderState) -> list[Edge]:
    """A child is not restored before its parent, and a parent is not removed before its child."""
    by_table, keys = _list_keys(rows)
    edges: list[Edge] = []
    for key in keys:
        gaining = _index_values(rows, by_table[key.ref_table], placeholders, key.ref_columns, RowPlan.gained_values)
        losing = _index_values(rows, by_table[key.ref_table], placeholders, key.ref_columns, RowPlan.lost_values)
        for number in by_table[key.table]:
            gained = rows[number].gained_values(key.columns, placeholders.of(number))
            lost = rows[number].lost_values(key.columns, placeholders.of(number))
            edges += [(parent, number) for parent in gaining.get(gained, ()) if parent != number] if gained else []
            edges += [(number, parent) for parent in losing.get(lost, ()) if parent != number] if lost else []
    return edges


def _order_by_unique_values(rows: Sequence[RowPlan], placeholders: PlaceholderState) -> list[Edge]:
    """A row does not take a unique value before the row that gives it up."""
    by_table, _ = _list_keys(rows)
    edges: list[Edge] = []
    for numbers in by_table.values():
        for unique in rows[numbers[0]].table.unique_keys:
            losing = _index_values(rows, numbers, placeholders, unique.columns, RowPlan.lost_values)
            for number in numbers if losing else ():
                gained = rows[number].gained_values(unique.columns, placeholders.of(number))
                edges += [(holder, number) for holder in losing.get(gained, ()) if holder != number] if gained else []
    return edges


def _index_values(
    rows: Sequence[RowPlan],
    numbers: Iterable[int],
    placeholders: PlaceholderState,
    columns: Sequence[str],
    read: _Read,
) -> Mapping[Values, list[int]]:
    found: dict[Values, list[int]] = {}
    for number in numbers:
        values = read(rows[number], columns, placeholders.of(number))
        if values is not None:
            found.setdefault(values, []).append(number)
    return found
