"""Which columns of a view are which columns of a table, read from the views' stored query trees.

The catalogue keeps a view as the text of a node tree. Each entry of its target list names the relation and
column it comes from (`resorigtbl`, `resorigcol`); through views over views the trail is followed to the
table. From that come a view's primary key and its relationships.
"""

import re
from collections.abc import Generator, Iterator, Mapping

_LIST = ":targetList ("
_ENTRY = re.compile(
    r":resno (?P<position>\d+) :resname (?:\\.|[^\s\\])+ :ressortgroupref \d+"
    r" :resorigtbl (?P<relation>\d+) :resorigcol (?P<column>-?\d+)",
    re.DOTALL,
)
_QUERY_DEPTH = _ENTRY_DEPTH = 1

Origin = tuple[int, int]
"""a relation, by its object id, and one of its columns, by its attribute number"""

Targets = Mapping[int, Origin]
"""position in a view -> where that column comes from"""

ShownColumns = Mapping[Origin, tuple[int, ...]]
"""where a column comes from -> the view's columns that show it, by their positions"""


def trace_views(targets: Mapping[int, Targets]) -> Generator[None, None, Mapping[int, ShownColumns]]:
    """What each view shows, of tables and of the views between."""
    traced: dict[int, ShownColumns] = {}
    for view, own in targets.items():
        shown: dict[Origin, tuple[int, ...]] = {}
        for position, origin in own.items():
            for step in _follow(origin, targets):
                shown[step] = (*shown.get(step, ()), position)
        traced[view] = shown
        yield
    return traced


def _follow(origin: Origin, targets: Mapping[int, Targets]) -> Iterator[Origin]:
    seen: set[Origin] = set()
    step: Origin | None = origin
    while step is not None and step not in seen:
        seen.add(step)
        yield step
        relation, column = step
        step = targets.get(relation, {}).get(column)


def read_targets(rule: str) -> Targets:
    """The entries of the outermost target list that come from a relation."""
    return dict(_read_entries(rule, _find_target_list(rule)))


def _find_target_list(rule: str) -> int:
    """Most of a rule is about other things: counting braces goes over it much faster than looking at each."""
    at = depth = 0
    while (found := rule.find(_LIST, at)) >= 0:
        depth += _count_open(rule, at, found)
        if depth == _QUERY_DEPTH:
            return found + len(_LIST)
        at = found + len(_LIST)
    return len(rule)


def _read_entries(rule: str, start: int) -> Iterator[tuple[int, Origin]]:
    """Subqueries in the list have entries of their own, deeper down."""
    at, depth = start, 0
    for entry in _ENTRY.finditer(rule, start):
        depth += _count_open(rule, at, entry.start())
        at = entry.start()
        if depth == _ENTRY_DEPTH and entry["relation"] != "0":
            yield int(entry["position"]), (int(entry["relation"]), int(entry["column"]))


def _count_open(rule: str, start: int, end: int) -> int:
    """How many braces more open than close. In a name they are escaped, and no other one follows a backslash."""
    opened = rule.count("{", start, end) - rule.count("\\{", start, end)
    return opened - rule.count("}", start, end) + rule.count("\\}", start, end)
