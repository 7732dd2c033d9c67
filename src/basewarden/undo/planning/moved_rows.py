"""Finds rows that the session inserted and that others have moved to another key since.

A moved row still exists, so the undo must not treat it as deleted. It is found by its values outside the key; where
several rows have the same values, the row cannot be identified and counts as deleted. A row that was deleted by a
recorded write was not moved, even if another row happens to have the same values.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from basewarden.journal import encode_key
from basewarden.undo.planning.plan import Dependency, RowPlan
from basewarden.undo.planning.row_reader import RowReader
from pgrest import Column, Table

_COMPARED = frozenset("BEINS")
_COMPARED_TYPES = frozenset({"uuid", "bytea", "jsonb"})
_REASON = "The inserted row no longer has its key, and a row with the same values exists under another key."


async def find_moved_rows(
    reader: RowReader, rows: Sequence[RowPlan], deleted: Collection[tuple[str, str, str]] = ()
) -> list[Dependency]:
    """`deleted` are rows (schema, table, encoded key) that a recorded write deleted."""
    groups: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for number, row in enumerate(rows):
        if row.change.before is not None or row.current is not None:
            continue
        place = (row.change.schema, row.change.table, encode_key(row.change.key_after or ()))
        if place not in deleted and (columns := _list_compared(row)):
            groups.setdefault((row.table.oid, columns), []).append(number)
    dependencies: list[Dependency] = []
    for (_, columns), numbers in groups.items():
        dependencies += await _find_group(reader, rows, columns, numbers)
    return dependencies


async def _find_group(
    reader: RowReader, rows: Sequence[RowPlan], columns: tuple[str, ...], numbers: Sequence[int]
) -> list[Dependency]:
    table = rows[numbers[0]].table
    own = {row.current_key for row in rows if row.table.oid == table.oid}
    values = [tuple((rows[number].change.after or {})[name] for name in columns) for number in numbers]
    matches = await reader.find_holders(table, columns, values)
    found = Counter(match.wanted for match in matches if match.key not in own)
    return [Dependency(numbers[place], None, _REASON, table.key) for place, count in found.items() if count == 1]


def _list_compared(row: RowPlan) -> tuple[str, ...]:
    """The columns that a change of the key does not affect, and whose type has equality."""
    after = row.change.after or {}
    names = (name for name in row.table.columns if name not in row.table.key and after.get(name) is not None)
    return tuple(name for name in names if _is_compared(row.table, row.table.columns[name]))


def _is_compared(table: Table, column: Column) -> bool:
    if column.generated:
        return False
    if column.category == "D":
        return not table.has_triggers  # a trigger may set it at every change
    return column.category in _COMPARED or column.base_type in _COMPARED_TYPES
