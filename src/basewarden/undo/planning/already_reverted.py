"""Finds the rows that were reverted already, where several of them have had the same key. Pure.

The undo looks for a row that the session moved to another key at that key. After it was reverted, another reverted row
of the session may be there. So such rows are decided together: a row counts as reverted if it is as before the session,
and is not another row, not yet reverted, that the session left at the same key.
"""

from collections.abc import Mapping, Sequence

from basewarden.journal import Image
from basewarden.undo.planning.fold import NetChange, Values
from pgrest import Name, Schema, Table

Key = tuple[str, ...]
RowLocation = tuple[Name, Key]
RowsByTable = Mapping[Name, Mapping[Key, Image]]


def location_before(change: NetChange) -> RowLocation | None:
    return None if change.key_before is None else ((change.schema, change.table), change.key_before)


def location_after(change: NetChange) -> RowLocation | None:
    return None if change.key_after is None else ((change.schema, change.table), change.key_after)


def find_reverted(changes: Sequence[NetChange], schema: Schema, found: RowsByTable) -> frozenset[int]:
    """The numbers of changes that added, removed or moved a row and are reverted already."""
    moving = [number for number, change in enumerate(changes) if location_before(change) != location_after(change)]
    arrivals: dict[RowLocation, list[int]] = {}
    for number in moving:
        place = location_after(changes[number])
        if place is not None:
            arrivals.setdefault(place, []).append(number)
    reverted = {number for number in moving if _matches_before(changes[number], schema, found)}
    while True:
        left = {place for number in reverted if (place := location_before(changes[number])) is not None}
        wrong = {
            number
            for number in reverted
            if _is_still_there(changes[number], found, left)
            or any(
                other not in reverted and _matches_after(changes[other], schema, found)
                for other in _list_arrivals(arrivals, changes[number])
            )
        }
        if not wrong:
            return frozenset(reverted)
        reverted -= wrong


def _list_arrivals(arrivals: Mapping[RowLocation, list[int]], change: NetChange) -> Sequence[int]:
    """The changes that put a row at the location where this one was before."""
    place = location_before(change)
    return () if place is None else arrivals.get(place, ())


def _is_still_there(change: NetChange, found: RowsByTable, explained: set[RowLocation]) -> bool:
    """Whether there is a row where the session left this one, other than a reverted row of that location."""
    place = location_after(change)
    return place is not None and place not in explained and place[1] in found.get(place[0], {})


def _matches_before(change: NetChange, schema: Schema, found: RowsByTable) -> bool:
    """A row that the session inserted did not exist before."""
    if change.before is None:
        return True
    if change.is_replaced or change.gap_columns:
        return False
    return _matches(change, change.key_before, change.before, schema, found)


def _matches_after(change: NetChange, schema: Schema, found: RowsByTable) -> bool:
    return change.after is not None and _matches(change, change.key_after, change.after, schema, found)


def _matches(change: NetChange, key: Key | None, values: Values, schema: Schema, found: RowsByTable) -> bool:
    """Ignores trigger-set and generated columns."""
    table = schema.tables.get((change.schema, change.table))
    row = found.get((change.schema, change.table), {}).get(key or ())
    if table is None or row is None:
        return False
    differing = (name for name, value in values.items() if row.exact.get(name) != value)
    return all(_is_derived(change, table, name) for name in differing)


def _is_derived(change: NetChange, table: Table, name: str) -> bool:
    column, changed = table.columns.get(name), change.columns.get(name)
    return column is None or column.generated or (changed is not None and changed.is_trigger_set)
