"""Puts the rows of a plan in the order of their dependencies, in batches that one request can write. Pure.

A request inserts, or deletes, many rows of one table as one statement, whose foreign keys are checked at its end: so
rows of one table may depend on each other in a cycle. Rows of several tables, or updates, may not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from basewarden.undo.planning.components import Component, find_components
from basewarden.undo.planning.plan import Action, Dependency, RowPlan

_ORDER: tuple[Action, ...] = ("delete", "update", "insert")
_TOGETHER: tuple[Action, ...] = ("insert", "delete")


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table, by number, with the same action. The rows of a group must be in the same request."""

    action: Action
    groups: tuple[Component, ...]

    @property
    def numbers(self) -> list[int]:
        return [number for group in self.groups for number in group]


def find_unorderable(rows: Sequence[RowPlan], dependencies: Sequence[Dependency]) -> set[int]:
    """Rows that depend on each other in a way that no single request can satisfy."""
    groups = _group(len(rows), dependencies)
    return {number for group in groups if len(group) > 1 and not _is_together(rows, group) for number in group}


def make_batches(rows: Sequence[RowPlan], dependencies: Sequence[Dependency]) -> list[Batch]:
    """The rows that a batch depends on are in an earlier batch. Rows without an action are in no batch."""
    groups = _group(len(rows), dependencies)
    place = {number: group for group in groups for number in group}
    waiting: dict[Component, set[Component]] = {group: set() for group in groups}
    for dependency in dependencies:
        if dependency.on is not None and place[dependency.row] != place[dependency.on]:
            waiting[place[dependency.row]].add(place[dependency.on])
    batches: list[Batch] = []
    while waiting:
        ready = [group for group, others in waiting.items() if not others & waiting.keys()]
        batches += _make_round(rows, ready)
        for group in ready:
            del waiting[group]
    return batches


def _make_round(rows: Sequence[RowPlan], ready: Iterable[Component]) -> list[Batch]:
    alike: dict[tuple[object, ...], list[Component]] = {}
    for group in ready:
        row = rows[group[0]]
        if row.action != "nothing":
            alike.setdefault((_ORDER.index(row.action), row.table.qualified, row.written), []).append(group)
    return [Batch(rows[groups[0][0]].action, tuple(groups)) for _, groups in sorted(alike.items(), key=_sort_key)]


def _sort_key(item: tuple[tuple[object, ...], list[Component]]) -> tuple[str, ...]:
    return tuple(map(str, item[0]))


def _is_together(rows: Sequence[RowPlan], group: Component) -> bool:
    first = rows[group[0]]
    same = all((rows[one].table.qualified, rows[one].action) == (first.table.qualified, first.action) for one in group)
    return same and first.action in _TOGETHER


def _group(count: int, dependencies: Sequence[Dependency]) -> list[Component]:
    """Groups rows that depend on each other in a cycle; any other row is a group by itself."""
    edges: dict[int, list[int]] = {}
    for dependency in dependencies:
        if dependency.on is not None:
            edges.setdefault(dependency.row, []).append(dependency.on)
    return find_components(range(count), edges)
