"""Holds a write that is run against the one that was proposed. Pure.

Every row before must be the same in every column, and nothing else may change: the approval is of exactly these rows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from basewarden.journal import Image, RowChange, UncapturedChanges
from pgrest import Column, Table

_TIMES = "D"  # the category of PostgreSQL's types of dates and times
_OTHER_VALUES = "The write would store other values than those that were shown."
_OTHER_EFFECTS = "Triggers or functions would change other rows than those that were counted."
_OTHER_ROWS = "The write would change other rows than those that were shown."


@dataclass(frozen=True, slots=True)
class WritePins:
    """The rows of a write, before and after.

    With `is_computed` the rows after are not the database's own, and `reserve` counts all rows that may be changed.
    `made` are columns by verb and table, `insert public.notes`, that the database makes new at each run.
    """

    changes: tuple[RowChange, ...]
    uncaptured: tuple[UncapturedChanges, ...] = ()
    reserve: int = 0
    is_computed: bool = False
    made: Mapping[str, frozenset[str]] = field(default_factory=dict)


def find_difference(proposed: WritePins, now: WritePins) -> str | None:
    """Finds what is not as it was proposed, in a sentence; None where nothing is."""
    known, found = _count_before(proposed.changes), _count_before(now.changes)
    if known != found:
        return _describe_changed(known, found)
    if proposed.is_computed:
        return None if proposed.reserve == now.reserve else _OTHER_ROWS
    if _count_inserted(proposed.changes) != _count_inserted(now.changes):
        return _OTHER_ROWS
    if Counter(proposed.uncaptured) != Counter(now.uncaptured):
        return _OTHER_EFFECTS
    if _count_whole(proposed.changes, proposed.made) != _count_whole(now.changes, proposed.made):
        return _OTHER_VALUES
    return None


def list_made_columns(
    changes: Iterable[RowChange], tables: Mapping[tuple[str, str], Table], named: frozenset[str]
) -> dict[str, frozenset[str]]:
    """Lists the columns of these changes that may differ at the next run; `named` are those that the request names.

    Times are made new, and in inserted rows what a sequence or a function gives. What is generated follows from both.
    """
    kinds = {(change.verb, change.schema, change.table, change.cause) for change in changes}
    made: dict[str, frozenset[str]] = {}
    for verb, schema, name, cause in sorted(kinds):
        table = tables.get((schema, name))
        given = named if cause == "request" else frozenset[str]()
        if table is not None and verb != "delete":
            key = _make_name(verb, schema, name)
            columns = (one.name for one in table.columns.values() if _is_made(one, given, verb))
            made[key] = made.get(key, frozenset()) | frozenset(columns)
    return made


def _is_made(column: Column, named: frozenset[str], verb: str) -> bool:
    if column.generated:
        return True
    if column.name in named:
        return False
    is_called = column.identity != "" or "(" in (column.default or "") or column.base_type == "uuid"
    return column.category == _TIMES or (verb == "insert" and is_called)


_Row = tuple[tuple[str, str | None], ...]
_Place = tuple[str, str, str, str, _Row]


def _count_before(changes: Sequence[RowChange]) -> Counter[_Place]:
    return Counter(_find_place(change) for change in changes if change.before is not None)


def _count_inserted(changes: Sequence[RowChange]) -> Counter[tuple[str, str]]:
    return Counter((change.schema, change.table) for change in changes if change.before is None)


def _count_whole(changes: Sequence[RowChange], made: Mapping[str, frozenset[str]]) -> Counter[tuple[_Place, _Row]]:
    return Counter(
        (_find_place(change), _list_values(change.after, made.get(_name_change(change), frozenset())))
        for change in changes
    )


def _find_place(change: RowChange) -> _Place:
    return change.schema, change.table, change.verb, change.cause, _list_values(change.before, frozenset())


def _list_values(image: Image | None, without: frozenset[str]) -> _Row:
    return () if image is None else tuple(one for one in image.exact.items() if one[0] not in without)


def _name_change(change: RowChange) -> str:
    return _make_name(change.verb, change.schema, change.table)


def _make_name(verb: str, schema: str, table: str) -> str:
    return f"{verb} {schema}.{table}"


def _describe_changed(known: Counter[_Place], found: Counter[_Place]) -> str:
    """Names the tables of the rows that are not as they were, or not among those that are changed."""
    places = [*(known - found), *(found - known)]
    names = sorted({f"{schema}.{table}" for schema, table, *_ in places})
    return f"Rows of {', '.join(names[:3])} have changed since this was proposed."
