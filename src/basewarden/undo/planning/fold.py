"""Folds a session's writes to one net change per row. Pure.

Each column keeps its own history: where a change of the session does not start from the value that its last change
left, others changed the column in between.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from basewarden.journal import Image, RowChange, UncapturedChanges, Verb
from basewarden.undo.planning.key_pairs import pair_by_key
from basewarden.undo.receipt import count_rows, read_primary_key

Values = Mapping[str, str | None]
_Place = tuple[str, str, tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class RecordedWrite:
    """One transaction of the session as the journal has it; `state` is committed or unknown."""

    state: str
    verb: str
    schema: str
    table: str
    changes: tuple[RowChange, ...]
    uncaptured: tuple[UncapturedChanges, ...] = ()
    id: UUID | None = None

    @property
    def reversible(self) -> Sequence[RowChange]:
        """The changes that an undo can revert: committed, of rows with a key."""
        if self.state != "committed":
            return ()
        changes = [change for change in self.changes if change.key_columns]
        return pair_by_key(changes) if self.verb == "insert" else changes


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """`old` is the value before the session's first change, `new` after its last.

    `is_trigger_set`: no request named the column. `has_gap`: others changed it between two writes of the session.
    """

    old: str | None
    new: str | None
    is_trigger_set: bool
    has_gap: bool = False

    def append(self, old: str | None, new: str | None, *, is_trigger_set: bool) -> "ColumnChange":
        met = self.continue_from(old)
        return replace(met, new=new, is_trigger_set=self.is_trigger_set and is_trigger_set)

    def continue_from(self, found: str | None) -> "ColumnChange":
        """Compares the value that was `found` before the next change with the one that the last change left.

        A trigger-set value from another's write belongs to that write: the undo restores that value, not an older one.
        """
        if found == self.new:
            return self
        if self.is_trigger_set:
            return replace(self, old=found, new=found)
        return replace(self, has_gap=True)


@dataclass(frozen=True, slots=True)
class NetChange:
    """The session's changes of one row as one. `before` and `after` are None where the row did not exist.

    `is_replaced`: others deleted or replaced the row between two writes of the session. Where only some writes of the
    session are folded, a later one of the others set the columns `changed_later`, or moved, deleted or replaced the row
    (`is_rewritten`). `original` is the whole row as the first of the changes found it.
    """

    schema: str
    table: str
    key_columns: tuple[str, ...]
    before: Values | None
    after: Values | None
    columns: Mapping[str, ColumnChange]
    shown: bytes
    is_replaced: bool = False
    changed_later: tuple[str, ...] = ()
    is_rewritten: bool = False
    original: Values | None = None

    @property
    def verb(self) -> Verb:
        if self.before is None:
            return "insert"
        return "delete" if self.after is None else "update"

    @property
    def key_before(self) -> tuple[str, ...] | None:
        return None if self.before is None else _read_key(self.before, self.key_columns)

    @property
    def key_after(self) -> tuple[str, ...] | None:
        return None if self.after is None else _read_key(self.after, self.key_columns)

    @property
    def gap_columns(self) -> tuple[str, ...]:
        return tuple(name for name, change in self.columns.items() if change.has_gap)

    @property
    def primary_key(self) -> dict[str, Any]:
        return read_primary_key(self.shown, self.key_columns)


@dataclass(frozen=True, slots=True)
class Folded:
    """`undone_earlier` are the numbers of changes that an earlier undo of the session reverted.

    `deleted_later` are rows (schema, table, encoded key) that another session's write deleted after this one's.
    """

    changes: tuple[NetChange, ...]
    irreversible: tuple[str, ...]
    undone_earlier: frozenset[int] = frozenset()
    deleted_later: frozenset[tuple[str, str, str]] = frozenset()


def fold_writes(writes: Sequence[RecordedWrite]) -> Folded:
    """`writes` are in the order of the journal."""
    folder = WriteFolder()
    for write in writes:
        folder.add(write.reversible)
    return Folded(folder.finish(), describe_irreversible(writes))


@dataclass(frozen=True, slots=True)
class LaterChange:
    """An observed change of a row, and the columns in which it found what folded writes had set before."""

    change: RowChange
    columns: Mapping[str, ColumnChange]

    def without_columns(self) -> RowChange:
        """The change as it would have been recorded if the folded writes had not happened."""
        before, after = self.change.before, self.change.after
        if before is None:
            return self.change
        found = {name: one.old for name, one in self.columns.items() if before.exact.get(name) == one.new}
        rebased = Image({**before.exact, **found}, before.shown)
        if after is None:
            return replace(self.change, before=rebased)
        kept = {name: old for name, old in found.items() if after.exact.get(name) == before.exact.get(name)}
        return replace(self.change, before=rebased, after=Image({**after.exact, **kept}, after.shown))


@dataclass(slots=True)
class RowHistory:
    """One row's changes. `last` is the row as the session left it, `base` what to restore where it was deleted.

    `parts` are the changes themselves, `later` those of observed writes after them, and `overlaid` the columns that
    these changed.
    """

    first: RowChange
    existed: bool
    last: Values | None
    shown: bytes
    base: Values | None = None
    columns: dict[str, ColumnChange] = field(default_factory=dict)
    is_replaced: bool = False
    parts: list[RowChange] = field(default_factory=list)
    later: list[LaterChange] = field(default_factory=list)
    overlaid: set[str] = field(default_factory=set)
    is_rewritten: bool = False

    def observe(self, change: RowChange) -> None:
        """Takes note of a change by a write that is not folded."""
        before, after = change.before, change.after
        found = {name: one for name, one in self.columns.items() if name not in self.overlaid}
        self.later.append(LaterChange(change, found))
        if before is None or after is None or before.key(change.key_columns) != after.key(change.key_columns):
            self.is_rewritten = True
            return
        changed = {name for name, value in after.exact.items() if before.exact.get(name) != value}
        self.overlaid |= changed & self.columns.keys() if self.existed else changed

    def update(self, before: Image, after: Image, set_columns: tuple[str, ...] | None) -> None:
        self.is_replaced = self.is_replaced or (not self.existed and before.exact != self.last)
        for name, new in after.exact.items():
            old = before.exact.get(name)
            if old != new:
                is_trigger_set = set_columns is not None and name not in set_columns
                known = self.columns.get(name)
                self.columns[name] = (
                    known.append(old, new, is_trigger_set=is_trigger_set)
                    if known
                    else ColumnChange(old, new, is_trigger_set)
                )
                if self.columns[name].is_trigger_set:
                    self.overlaid.discard(name)  # the trigger has run for a folded write again
        self.last, self.shown = after.exact, after.shown

    def delete(self, before: Image) -> None:
        if self.existed:
            self.columns = {name: change.continue_from(before.exact.get(name)) for name, change in self.columns.items()}
            self.base = {**before.exact, **{name: change.old for name, change in self.columns.items()}}
        self.last = None

    def insert(self, after: Image) -> None:
        """Inserts a row that the session had deleted: together they are an update."""
        base = self.base or {}
        gap_columns = {name: change for name, change in self.columns.items() if change.has_gap}
        changed = {
            name: ColumnChange(base.get(name), new, is_trigger_set=False)
            for name, new in after.exact.items()
            if base.get(name) != new
        }
        self.columns = {**changed, **gap_columns}
        self.base, self.last, self.shown = None, after.exact, after.shown

    def net(self) -> NetChange | None:
        columns = {name: change for name, change in self.columns.items() if self._is_kept(name, change)}
        if self.last is None:
            before = self.base
        else:
            before = {**self.last, **{name: change.old for name, change in columns.items()}} if self.existed else None
        if (before is None and self.last is None) or (
            self.existed and self.last is not None and not columns and not self.is_replaced
        ):
            return None
        first = self.first
        return NetChange(
            first.schema,
            first.table,
            first.key_columns,
            before,
            self.last,
            columns,
            self.shown,
            self.is_replaced,
            tuple(sorted(name for name in self.overlaid if name in columns or not self.existed)),
            self.is_rewritten,
            first.before.exact if first.before is not None else None,
        )

    def _is_kept(self, name: str, change: ColumnChange) -> bool:
        """A trigger-set value that an observed write's trigger has set again belongs to that write."""
        return change.has_gap or (change.old != change.new and not (change.is_trigger_set and name in self.overlaid))


class WriteFolder:
    def __init__(self) -> None:
        self.histories: list[RowHistory] = []
        self._alive: dict[_Place, RowHistory] = {}
        self._gone: dict[_Place, RowHistory] = {}

    def add(self, changes: Sequence[RowChange]) -> None:
        """One write's changes happened at once: all rows are found by their old keys before any gets its new one."""
        found = [(change, self._take(change)) for change in changes]
        for change, chain in found:
            self._apply(change, chain).parts.append(change)

    def observe(self, changes: Sequence[RowChange]) -> None:
        """Follows the rows through a write that is not folded."""
        found = [(change, self._alive.pop(_place(change, change.before), None)) for change in changes if change.before]
        found += [(change, None) for change in changes if change.before is None]
        for change, chain in found:
            place = _place(change, change.after) if change.after is not None else None
            if chain is not None:
                chain.observe(change)
                if place is not None:
                    self._alive[place] = chain
            elif place is not None and (change.before is None or _place(change, change.before) != place):
                replaced = self._gone.get(place)
                if replaced is not None:
                    replaced.is_rewritten = True

    def finish(self) -> tuple[NetChange, ...]:
        nets = (chain.net() for chain in self.histories)
        return tuple(net for net in nets if net is not None)

    def _take(self, change: RowChange) -> RowHistory | None:
        if change.before is None:
            return None
        place = _place(change, change.before)
        chain = self._alive.pop(place, None)
        gone = self._gone.get(place)
        if chain is None and gone is not None and gone.existed:
            del self._gone[place]
            gone.is_replaced = True  # others put a row in place of the one that the session deleted
            return gone
        return chain or self._begin(change, change.before)

    def _apply(self, change: RowChange, chain: RowHistory | None) -> RowHistory:
        before, after = change.before, change.after
        if after is None:
            assert chain is not None  # a change without an image after it has one before it
            assert before is not None
            chain.delete(before)
            self._gone[_place(change, before)] = chain
            return chain
        place = _place(change, after)
        if chain is not None and before is not None:
            chain.update(before, after, change.set_columns)
        else:
            chain = self._insert(change, after, place)
        self._alive[place] = chain
        return chain

    def _insert(self, change: RowChange, after: Image, place: _Place) -> RowHistory:
        lost = self._alive.get(place)
        if lost is not None:  # others deleted the row in between
            lost.is_replaced = lost.is_replaced or lost.existed
            lost.last, lost.shown = after.exact, after.shown
            return lost
        gone = self._gone.pop(place, None)
        if gone is not None and gone.existed:
            gone.insert(after)
            return gone
        return self._begin(change, after)

    def _begin(self, change: RowChange, image: Image) -> RowHistory:
        chain = RowHistory(change, change.before is not None, image.exact, image.shown)
        self.histories.append(chain)
        return chain


def _place(change: RowChange, image: Image) -> _Place:
    return (change.schema, change.table, change.key_columns, image.key(change.key_columns))


def _read_key(values: Values, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(values.get(column) or "" for column in columns)


def describe_irreversible(writes: Sequence[RecordedWrite]) -> tuple[str, ...]:
    return (
        *_describe_unknown(writes),
        *_describe_keyless(writes),
        *_describe_calls(writes),
        *_describe_uncaptured(writes),
    )


def _describe_unknown(writes: Sequence[RecordedWrite]) -> list[str]:
    """An insert whose response was lost has no rows to count."""
    lost = [write for write in writes if write.state != "committed"]
    rows, bare = sum(len(write.changes) for write in lost), sum(not write.changes for write in lost)
    descriptions = [f"{count_rows(rows)} of writes whose outcome is unknown."] if rows else []
    if bare:
        descriptions.append(f"{bare:,} write{'' if bare == 1 else 's'} without known rows, whose outcome is unknown.")
    return descriptions


def _describe_keyless(writes: Sequence[RecordedWrite]) -> list[str]:
    tables = Counter(
        f"{change.schema}.{change.table}"
        for write in writes
        if write.state == "committed"
        for change in write.changes
        if not change.key_columns
    )
    return [f"{count_rows(count)} of {name}, a table without a primary key." for name, count in tables.items()]


def _describe_calls(writes: Sequence[RecordedWrite]) -> list[str]:
    calls = Counter(f"{write.schema}.{write.table}" for write in writes if write.verb == "call")
    return [f"{count:,} call{'' if count == 1 else 's'} of the function {name}." for name, count in calls.items()]


def _describe_uncaptured(writes: Sequence[RecordedWrite]) -> list[str]:
    items = (item for write in writes for item in write.uncaptured)
    return describe_counts(items, "by functions or triggers")


def describe_counts(items: Iterable[UncapturedChanges], how: str) -> list[str]:
    """Describes changes that were counted but not recorded."""
    counts: Counter[tuple[str, str]] = Counter()
    emptied = set()
    for item in items:
        name = f"{item.schema}.{item.table}"
        if item.emptied:
            emptied.add(name)
        for verb in ("inserted", "updated", "deleted"):
            counts[name, verb] += getattr(item, verb)
    return [
        *(f"All rows of {table}, truncated {how}." for table in sorted(emptied)),
        *(
            f"{count_rows(count)} {verb} in {table} {how}, not recorded."
            for (table, verb), count in counts.items()
            if count
        ),
    ]
