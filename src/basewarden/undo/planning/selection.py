"""Folds some of a session's writes, and leaves out what earlier undos have reverted. Pure.

The writes that are not selected stay as they are. Where a later one of them changed the same columns, moved the row or
deleted it, the selected write cannot be undone alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from basewarden.journal import Image, RowChange, encode_key
from basewarden.undo.planning.fold import Folded, NetChange, RecordedWrite, WriteFolder, describe_irreversible
from basewarden.undo.planning.unrestored_columns import RowsLeft, find_unrestored

ChangeIdentity = tuple[str, str, str, str]
"""Verb, schema, table, and the key of the row after the change (before it, for a delete)."""
_NO_ROWS: RowsLeft = {}


def identify(change: NetChange) -> ChangeIdentity:
    key = change.key_before if change.after is None else change.key_after
    return (change.verb, change.schema, change.table, encode_key(key or ()))


def fold_selected(writes: Sequence[RecordedWrite], selected: Collection[UUID]) -> Folded:
    """`writes` are all of the session, in the order of the journal."""
    folder = _follow(writes, selected)
    chosen = [write for write in writes if write.id in selected]
    return Folded(folder.finish(), describe_irreversible(chosen))


def keep_rows(folded: Folded, rows: Collection[ChangeIdentity]) -> Folded:
    """Leaves out all other rows, and what no undo can revert, which is not a row.

    A row that the write changed twice may have another verb in all: then it is found by its place.
    """
    identities = [identify(change) for change in folded.changes]
    exact = set(rows).intersection(identities)
    places = {identity[1:] for identity in rows if identity not in exact}
    chosen = [identity in exact or identity[1:] in places for identity in identities]
    return Folded(tuple(change for change, is_chosen in zip(folded.changes, chosen, strict=True) if is_chosen), ())


def drop_reverted(
    writes: Sequence[RecordedWrite],
    selected: Collection[UUID],
    reverted: Collection[ChangeIdentity],
    rows_left: RowsLeft = _NO_ROWS,
) -> list[RecordedWrite]:
    """Leaves out the changes whose net change is among `reverted`. No `selected` writes are all of them.

    Later changes of the same rows become what they would have been without the reverted ones. Of a row in `rows_left`,
    the columns remain that the undo could not restore.
    """
    writes = [replace(write, changes=(*_list_keyless(write), *write.reversible)) for write in writes]
    folder = _follow(writes, selected or {write.id for write in writes if write.id is not None})
    instead: dict[int, RowChange | None] = {}
    for history in folder.histories:
        change = history.net()
        if change is not None and identify(change) in reverted:
            instead |= {id(part): None for part in history.parts}
            instead[id(history.parts[-1])] = _make_rest(history.parts[-1], change, rows_left)
            instead |= {id(later.change): later.without_columns() for later in history.later}
    return [replace(write, changes=_exchange(write.changes, instead)) for write in writes]


def _make_rest(last: RowChange, change: NetChange, rows_left: RowsLeft) -> RowChange | None:
    """The change of the unrestored columns alone."""
    rest = find_unrestored(change, rows_left)
    if rest is None:
        return None
    after = rest.after or {}
    before = {**after, **{name: column.old for name, column in rest.columns.items()}}
    images = Image(before, change.shown), Image(after, change.shown)
    return RowChange(change.schema, change.table, "update", change.key_columns, *images, last.cause, ())


def _exchange(changes: Iterable[RowChange], instead: Mapping[int, RowChange | None]) -> tuple[RowChange, ...]:
    exchanged = (instead.get(id(change), change) for change in changes)
    return tuple(change for change in exchanged if change is not None)


def _follow(writes: Sequence[RecordedWrite], selected: Collection[UUID]) -> WriteFolder:
    folder = WriteFolder()
    for write in writes:
        if write.id in selected:
            folder.add(write.reversible)
        else:
            folder.observe(write.reversible)
    return folder


def _list_keyless(write: RecordedWrite) -> list[RowChange]:
    """The changes that no undo reverts, which stay listed as such."""
    return [change for change in write.changes if write.state != "committed" or not change.key_columns]
