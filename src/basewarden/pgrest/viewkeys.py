"""Which columns of a view are which columns of a table, read from the views' stored query trees.

The catalogue keeps a view as the text of a node tree. Each entry of its target list names the relation and
column it comes from (`resorigtbl`, `resorigcol`); through views over views the trail is followed to the
table. From that come a view's primary key and its relationships.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from basewarden.pgrest.config import Name

_TOKEN = re.compile(
    r"\\."  # an escaped character of a name
    r"|(?P<open>\{)|(?P<close>\})"
    r"|:targetList (?P<list>\()"
    r"|:resno (?P<resno>\d+)"
    r"|:resorigtbl (?P<table>\d+)"
    r"|:resorigcol (?P<column>-?\d+)",
    re.DOTALL,
)
_QUERY_DEPTH, _ENTRY_DEPTH = 1, 2


@dataclass(frozen=True, slots=True)
class ViewRow:
    oid: int
    name: Name
    columns: dict[str, str]
    """attribute number -> column"""
    rule: str


@dataclass(frozen=True, slots=True)
class Origin:
    """A column of a relation, by its object id and attribute number."""

    relation: int
    column: int


ViewColumns = Mapping[Name, Mapping[Origin, tuple[str, ...]]]
"""view -> where a column comes from -> the view's columns that show it"""


def trace_views(views: Iterable[ViewRow]) -> ViewColumns:
    by_oid = {view.oid: view for view in views}
    sources = {oid: dict(read_targets(view.rule)) for oid, view in by_oid.items()}
    traced: dict[Name, dict[Origin, tuple[str, ...]]] = {}
    for oid, view in by_oid.items():
        shown = traced.setdefault(view.name, {})
        for position, origin in sources[oid].items():
            name = view.columns.get(str(position))
            for step in _follow(origin, sources) if name is not None else ():
                shown[step] = (*shown.get(step, ()), name or "")
    return traced


def _follow(origin: Origin, sources: Mapping[int, Mapping[int, Origin]]) -> Iterator[Origin]:
    seen: set[Origin] = set()
    step: Origin | None = origin
    while step is not None and step not in seen:
        seen.add(step)
        yield step
        step = sources.get(step.relation, {}).get(step.column)


def read_targets(rule: str) -> Iterator[tuple[int, Origin]]:
    """The (position, origin) of every entry in the outermost target list that comes from a relation."""
    depth, is_listing = 0, False
    position = table = 0
    for token in _TOKEN.finditer(rule):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            is_listing = is_listing and depth > _QUERY_DEPTH
            depth -= 1
        elif kind == "list":
            is_listing = is_listing or depth == _QUERY_DEPTH
        elif not is_listing or depth != _ENTRY_DEPTH:
            continue
        elif kind == "resno":
            position = int(token["resno"])
        elif kind == "table":
            table = int(token["table"])
        elif kind == "column" and table:
            yield position, Origin(table, int(token["column"]))
