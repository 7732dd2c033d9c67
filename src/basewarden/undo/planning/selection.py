"""Folds some of a session's writes, and leaves out what earlier undos have reverted. Pure.

The writes that are not selected stay as they are. Where a later one of them changed the same columns, moved the row or
deleted it, the selected write cannot be undone alone.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

from basewarden.journal import RowChange, encode_key
from basewarden.undo.planning.fold import Folded, NetChange, RecordedWrite, WriteFolder, describe_irreversible

ChangeIdentity = tuple[str, str, str, str]
"""Verb, schema, table, and the key of the row after the change (before it, for a delete)."""


def identify(change: NetChange) -> ChangeIdentity:
    key = change.key_before if change.after is None else change.key_after
    return (change.verb, change.schema, change.table, encode_key(key or ()))


def fold_selected(writes: Sequence[RecordedWrite], selected: Collection[UUID]) -> Folded:
    """`writes` are all of the session, in the order of the journal."""
    folder = _follow(writes, selected)
    chosen = [write for write in writes if write.id in selected]
    return Folded(folder.finish(), describe_irreversible(chosen))


def drop_reverted(
    writes: Sequence[RecordedWrite], selected: Collection[UUID], reverted: Collection[ChangeIdentity]
) -> list[RecordedWrite]:
    """Leaves out the changes whose net change is among `reverted`. No `selected` writes are all of them."""
    writes = [replace(write, changes=(*_list_keyless(write), *write.reversible)) for write in writes]
    folder = _follow(writes, selected or {write.id for write in writes if write.id is not None})
    gone = {
        id(part)
        for history in folder.histories
        if (change := history.net()) is not None and identify(change) in reverted
        for part in history.parts
    }
    return [replace(write, changes=tuple(one for one in write.changes if id(one) not in gone)) for write in writes]


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
