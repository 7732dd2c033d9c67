"""In which order rows go back that cannot go all at once: what is needed first, and together what one request can do.

Pure. A request inserts, or deletes, many rows of one table as one statement, whose foreign keys are checked at its end:
rows of one table may need each other in a circle. Rows of several tables, or updates, may not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from basewarden.undo.planning.components import Group, find_groups
from basewarden.undo.planning.plan import Action, Need, RowPlan

_ORDER: tuple[Action, ...] = ("delete", "update", "insert")
_TOGETHER: tuple[Action, ...] = ("insert", "delete")


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table, by number, for which the same is to be done. Those of a group cannot be parted."""

    action: Action
    groups: tuple[Group, ...]

    @property
    def numbers(self) -> list[int]:
        return [number for group in self.groups for number in group]


def find_circles(rows: Sequence[RowPlan], needs: Sequence[Need]) -> set[int]:
    """Rows that need each other in a way that no single request can satisfy."""
    groups = _group(len(rows), needs)
    return {number for group in groups if len(group) > 1 and not _is_together(rows, group) for number in group}


def make_batches(rows: Sequence[RowPlan], needs: Sequence[Need]) -> list[Batch]:
    """What a batch needs stands in one before it. Rows for which nothing is to be done are in none."""
    groups = _group(len(rows), needs)
    place = {number: group for group in groups for number in group}
    waiting: dict[Group, set[Group]] = {group: set() for group in groups}
    for need in needs:
        if need.of is not None and place[need.row] != place[need.of]:
            waiting[place[need.row]].add(place[need.of])
    batches: list[Batch] = []
    while waiting:
        ready = [group for group, others in waiting.items() if not others & waiting.keys()]
        batches += _make_round(rows, ready)
        for group in ready:
            del waiting[group]
    return batches


def _make_round(rows: Sequence[RowPlan], ready: Iterable[Group]) -> list[Batch]:
    alike: dict[tuple[object, ...], list[Group]] = {}
    for group in ready:
        row = rows[group[0]]
        if row.action != "nothing":
            alike.setdefault((_ORDER.index(row.action), row.table.qualified, row.written), []).append(group)
    return [Batch(rows[groups[0][0]].action, tuple(groups)) for _, groups in sorted(alike.items(), key=_turn)]


def _turn(item: tuple[tuple[object, ...], list[Group]]) -> tuple[str, ...]:
    return tuple(map(str, item[0]))


def _is_together(rows: Sequence[RowPlan], group: Group) -> bool:
    first = rows[group[0]]
    same = all((rows[one].table.qualified, rows[one].action) == (first.table.qualified, first.action) for one in group)
    return same and first.action in _TOGETHER


def _group(count: int, needs: Sequence[Need]) -> list[Group]:
    """Strongly connected rows."""
    edges: dict[int, list[int]] = {}
    for need in needs:
        if need.of is not None:
            edges.setdefault(need.row, []).append(need.of)
    return find_groups(range(count), edges)
