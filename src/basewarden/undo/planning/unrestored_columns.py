"""Finds the columns that an earlier undo could not restore, because triggers set them again. Pure.

The next undo of the same session restores them if it can, and if no one has changed the row since.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from basewarden.journal import RowChange
from basewarden.undo.planning.fold import ColumnChange, Folded, NetChange, Values

RowsLeft = Mapping[tuple[str, str, tuple[str, ...]], Values]
"""Rows as an undo left them, by schema, table and key."""


def list_rows_left(changes: Iterable[RowChange]) -> RowsLeft:
    """`changes` are those of an effective undo."""
    return {
        (change.schema, change.table, after.key(change.key_columns)): after.exact
        for change in changes
        if (after := change.after) is not None
    }


def keep_unrestored(folded: Folded, rows_left: RowsLeft) -> tuple[Folded, frozenset[int]]:
    """Also returns the numbers of the rows with unrestored columns.

    The net change of such a row becomes its unrestored columns, since all its other columns are reverted.
    """
    rests = {
        number: rest for number, change in enumerate(folded.changes) if (rest := find_unrestored(change, rows_left))
    }
    following = tuple(rests.get(number, change) for number, change in enumerate(folded.changes))
    return replace(folded, changes=following), frozenset(rests)


def find_unrestored(change: NetChange, rows_left: RowsLeft) -> NetChange | None:
    before = change.before
    if before is None or change.key_before is None:
        return None
    left = rows_left.get((change.schema, change.table, change.key_before))
    if left is None:
        return None
    columns = {
        name: ColumnChange(old, left[name], is_trigger_set=True)
        for name, old in before.items()
        if name in left and left[name] != old and _is_unrestored(change, name)
    }
    return replace(change, after=left, columns=columns, is_replaced=False) if columns else None


def _is_unrestored(change: NetChange, name: str) -> bool:
    """Edits of others in between must stay: of an update, only trigger-set columns count as unrestored."""
    if change.after is None:
        return True
    column = change.columns.get(name)
    return column is not None and column.is_trigger_set
