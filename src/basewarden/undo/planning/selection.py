"""Folds some of a session's writes, and leaves out what earlier undos have reverted. Pure.

The writes that are not selected stay as they are. Where a later one of them changed the same columns, moved the row or
deleted it, the selected write cannot be undone alone.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from basewarden.journal import Image, RowChange, encode_key
from basewarden.undo.planning.fold import Folded, NetChange, RecordedWrite, WriteFolder, describe_irreversible
from basewarden.undo.planning.unrestored_columns import RowsLeft, find_unrestored

ChangeIdentity = tuple[str, str, str, str]
"""Verb, schema, table, and the key of the row after the change (before it, for a delete)."""
_Place = tuple[str, str, str]
"""Schema, table and key of a row."""


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


@dataclass(frozen=True, slots=True)
class EarlierUndo:
    """What an undo of these writes reverted; no `writes` are all. `rows_left` are rows as it left them."""

    writes: Collection[UUID]
    reverted: Collection[ChangeIdentity]
    rows_left: RowsLeft = field(default_factory=dict)


def drop_reverted(writes: Sequence[RecordedWrite], undos: Iterable[EarlierUndo]) -> list[RecordedWrite]:
    """Leaves out the changes whose net change an undo reverted, in the order of the undos.

    Later changes of the same rows become what they would have been without the reverted ones. Of a row in `rows_left`,
    the columns remain that the undo could not restore.
    """
    history = _SessionHistory(writes)
    for undo in undos:
        history.drop(undo)
    return history.finish()


@dataclass(slots=True)
class _Entry:
    """A change of the write with this number; None where it was dropped."""

    write: int
    change: RowChange | None


class _SessionHistory:
    """A session's changes in chains: those of one chain are about rows that had keys in common.

    So an undo of a row follows the changes of that row, not those of the whole session.
    """

    def __init__(self, writes: Sequence[RecordedWrite]) -> None:
        self._writes = writes
        self._leaders: dict[_Place, _Place] = {}
        self._entries: list[_Entry] = []
        starts: list[_Place] = []
        for number, write in enumerate(writes):
            for change in write.reversible:
                self._entries.append(_Entry(number, change))
                starts.append(self._join(_list_places(change)))
        self._chains: dict[_Place, list[int]] = {}
        for number, start in enumerate(starts):
            self._chains.setdefault(self._find(start), []).append(number)

    def drop(self, undo: EarlierUndo) -> None:
        places = {(schema, table, key) for _, schema, table, key in undo.reverted}
        chains = {self._find(place) for place in places}
        numbers = sorted(number for chain in chains for number in self._chains.get(chain, ()))
        entries = [self._entries[number] for number in numbers]
        part = self._select(entries)
        instead = _find_rests(part, undo)
        for entry in entries:
            if entry.change is not None:
                entry.change = instead.get(id(entry.change), entry.change)

    def finish(self) -> list[RecordedWrite]:
        left: list[list[RowChange]] = [_list_keyless(write) for write in self._writes]
        for entry in self._entries:
            if entry.change is not None:
                left[entry.write].append(entry.change)
        return [replace(write, changes=tuple(changes)) for write, changes in zip(self._writes, left, strict=True)]

    def _select(self, entries: Iterable[_Entry]) -> list[RecordedWrite]:
        """The writes with these changes alone."""
        by_write: dict[int, list[RowChange]] = {}
        for entry in entries:
            if entry.change is not None:
                by_write.setdefault(entry.write, []).append(entry.change)
        return [replace(self._writes[number], changes=tuple(changes)) for number, changes in by_write.items()]

    def _join(self, places: Sequence[_Place]) -> _Place:
        for place in places[1:]:
            self._leaders[self._find(place)] = self._find(places[0])
        return places[0]

    def _find(self, place: _Place) -> _Place:
        leaders = self._leaders
        while (leader := leaders.get(place, place)) != place:
            leaders[place] = leaders.get(leader, leader)
            place = leaders[place]
        return place


def _list_places(change: RowChange) -> list[_Place]:
    images = [image for image in (change.before, change.after) if image is not None]
    return [(change.schema, change.table, encode_key(image.key(change.key_columns))) for image in images]


def _find_rests(writes: Sequence[RecordedWrite], undo: EarlierUndo) -> dict[int, RowChange | None]:
    """What remains of changes, by their id(); None where nothing does."""
    folder = _follow(writes, undo.writes or {write.id for write in writes if write.id is not None})
    instead: dict[int, RowChange | None] = {}
    for history in folder.histories:
        change = history.net()
        if change is not None and identify(change) in undo.reverted:
            instead |= {id(part): None for part in history.parts}
            instead[id(history.parts[-1])] = _make_rest(history.parts[-1], change, undo.rows_left)
            instead |= {id(later.change): later.without_columns() for later in history.later}
    return instead


def _make_rest(last: RowChange, change: NetChange, rows_left: RowsLeft) -> RowChange | None:
    """The change of the unrestored columns alone."""
    rest = find_unrestored(change, rows_left)
    if rest is None:
        return None
    after = rest.after or {}
    before = {**after, **{name: column.old for name, column in rest.columns.items()}}
    images = Image(before, change.shown), Image(after, change.shown)
    return RowChange(change.schema, change.table, "update", change.key_columns, *images, last.cause, ())


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
