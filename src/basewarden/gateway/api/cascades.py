"""The rows that foreign keys change after a write, as far as an API shows them.

The API does not say what a foreign key will do. So the rows that refer to those of the write are read before the write,
whatever the key may do with them, and again after it: a change in the columns of the key is the key's.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import msgspec
import structlog

from basewarden.errors import AppError
from basewarden.gateway.api.journaled_request import UpstreamRefused
from basewarden.gateway.api.row_images import ADDRESS, VersionedRow
from basewarden.gateway.api.tables import ApiTables
from basewarden.gateway.recording.cascades import Identity, RowPlace, check_cascade_table, replace_values
from basewarden.gateway.recording.schema_retry import SnapshotStale
from basewarden.journal import Image, RowChange, UncapturedChanges
from basewarden.policy import Policy
from pgrest import ForeignKey, Name, Table

T = TypeVar("T")
Event = Literal["delete", "update"]
MOST_REFERRING_ROWS = 1000
_MOST_READS = 3
_RETRY_SECONDS = 0.3
_TIMES = ("timestamp", "date", "time")

_log = structlog.get_logger()
_tokens = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(slots=True)
class ReferringRow:
    """A row that refers to one that is about to change. `columns` are those of the keys that lead to it."""

    table: Table
    row: VersionedRow
    key: ForeignKey
    parent: RowPlace | None
    level: int
    columns: set[str] = field(default_factory=set)

    @property
    def place(self) -> RowPlace:
        return place_of(self.table, self.row)


@dataclass(slots=True)
class ReferringRows:
    event: Event
    rows: dict[RowPlace, ReferringRow] = field(default_factory=dict)

    def count_first(self) -> int:
        """The rows that certainly change if the write succeeds: a foreign key that changes nothing refuses it."""
        return sum(referring.level == 1 for referring in self.rows.values())

    def list_before(self) -> tuple[RowChange, ...]:
        """The rows as they are. What a foreign key makes of each, if anything, is not known."""
        return tuple(
            RowChange(table.schema, table.name, "update", table.key, one.row.image, None, _name_cause(one, self.event))
            for one in self.rows.values()
            for table in (one.table,)
        )

    def of_level(self, level: int) -> list[ReferringRow]:
        return [referring for referring in self.rows.values() if referring.level == level]


def place_of(table: Table, row: VersionedRow) -> RowPlace:
    return (table.qualified, row.identity)


async def collect_referring_rows(
    api: ApiTables,
    event: Event,
    table: Table,
    rows: Sequence[VersionedRow],
    changed: frozenset[str] | None = None,
    *,
    policy: Policy,
) -> ReferringRows:
    """`changed` are the columns that an update sets.

    Raises TableDenied or ReadOnly where rows of a table that the caller may not change refer to these: what the key
    does to them is not known before, and nothing can be rolled back.
    """
    cascades = ReferringRows(event)
    claimed = {place_of(table, row) for row in rows}
    waiting: list[tuple[Table, Sequence[VersionedRow], frozenset[str] | None, int]] = [(table, rows, changed, 1)]
    while waiting:
        parent, parents, columns, level = waiting.pop(0)
        for key in parent.foreign_keys_in:
            child = api.schema.tables.get(key.table)
            if child is None or child.schema not in api.schema.exposed:
                continue
            if columns is not None and columns.isdisjoint(key.ref_columns):
                continue
            fresh = await _read_children(
                api, cascades, claimed, child, key, place_by_value(parent, parents, key), level
            )
            if fresh:
                check_cascade_table(child, policy)
                waiting.append((child, fresh, None if columns is None else frozenset(key.columns), level + 1))
    return cascades


def place_by_value(parent: Table, parents: Iterable[VersionedRow], key: ForeignKey) -> Mapping[Identity, RowPlace]:
    return {
        row.image.key(key.ref_columns): place_of(parent, row)
        for row in parents
        if all(row.image.exact[column] is not None for column in key.ref_columns)
    }


async def _read_children(
    api: ApiTables,
    cascades: ReferringRows,
    claimed: set[RowPlace],
    child: Table,
    key: ForeignKey,
    parents: Mapping[Identity, RowPlace],
    level: int,
) -> list[VersionedRow]:
    """The rows that were not reached before."""
    room = MOST_REFERRING_ROWS - len(cascades.rows)
    fresh = []
    for row in await api.fetch_by(child, key.columns, parents, most=room):
        place = place_of(child, row)
        if place in claimed:
            continue
        referring = cascades.rows.get(place)
        if referring is None:
            referring = cascades.rows[place] = ReferringRow(
                child, row, key, parents.get(row.image.key(key.columns)), level
            )
            fresh.append(row)
        referring.columns.update(key.columns)
    return fresh


async def read_cascaded_after(
    api: ApiTables, cascades: ReferringRows, after: Mapping[RowPlace, Image | None]
) -> tuple[list[RowChange], list[UncapturedChanges]]:
    """What became of the referring rows. `after` is what became of the write's own rows.

    The write is done: where the API cannot be read any more, the rows that may have changed are counted as uncaptured.
    """
    found = await read_or_none(lambda: _read_cascaded(api, cascades, after))
    if found is not None:
        return found
    counts = Counter(referring.table.qualified for referring in cascades.rows.values())
    return [], [make_uncaptured(name, updated=count) for name, count in counts.items()]


async def read_or_none(read: Callable[[], Awaitable[T]]) -> T | None:
    """What is read after a write. None when the API does not respond: the write itself must still be recorded."""
    reason = ""
    for attempt in range(_MOST_READS):
        if attempt:
            await asyncio.sleep(_RETRY_SECONDS)
        try:
            return await read()
        except (AppError, UpstreamRefused, SnapshotStale) as error:
            reason = type(error).__name__
    _log.warning("api.read_after_write_failed", reason=reason)
    return None


def make_uncaptured(name: Name, *, updated: int) -> UncapturedChanges:
    return UncapturedChanges(*name, inserted=0, updated=updated, deleted=0)


async def _read_cascaded(
    api: ApiTables, cascades: ReferringRows, after: Mapping[RowPlace, Image | None]
) -> tuple[list[RowChange], list[UncapturedChanges]]:
    known = dict(after)
    changes: list[RowChange] = []
    uncaptured: list[UncapturedChanges] = []
    level = 1
    while rows := cascades.of_level(level):
        for name in dict.fromkeys(referring.table.qualified for referring in rows):
            group = [referring for referring in rows if referring.table.qualified == name]
            found = await _find_now(api, group, known)
            lost = [referring for referring in group if not referring.table.key and referring.place not in found]
            if lost:  # a row without a key that is no longer where it was may be changed or gone
                uncaptured.append(make_uncaptured(name, updated=len(lost)))
            for referring in group:
                now = found.get(referring.place)
                known[referring.place] = now.image if now else None
                change = None if referring in lost else _describe(referring, now, cascades.event)
                if change is not None:
                    changes.append(change)
        level += 1
    return changes, uncaptured


async def _find_now(
    api: ApiTables, group: Sequence[ReferringRow], after: Mapping[RowPlace, Image | None]
) -> dict[RowPlace, VersionedRow]:
    """By place before; the row may have moved if its parent's new value is part of its own key."""
    table = group[0].table
    moved = {referring.place: _identity_after(referring, after) for referring in group}
    wanted = [identity for referring in group for identity in (referring.row.identity, moved[referring.place])]
    rows = await api.fetch_by(table, table.key or ADDRESS, wanted)
    by_identity = {row.identity: row for row in rows}
    found = {}
    for referring in group:
        row = by_identity.get(moved[referring.place]) or by_identity.get(referring.row.identity)
        if row is not None:
            found[referring.place] = row
    return found


def _identity_after(referring: ReferringRow, after: Mapping[RowPlace, Image | None]) -> Identity:
    key, parent = referring.key, after.get(referring.parent) if referring.parent is not None else None
    carried = dict(zip(key.columns, parent.key(key.ref_columns), strict=True)) if parent is not None else {}
    columns = referring.table.key or ADDRESS
    return replace_values(referring.row.identity, columns, carried)


def _name_cause(referring: ReferringRow, event: Event) -> str:
    return f"{referring.table.name}.{referring.key.name} on {event}"


def _describe(referring: ReferringRow, now: VersionedRow | None, event: Event) -> RowChange | None:
    """None when the foreign key changed nothing. Changes of other clients in the same row are left out."""
    table, row = referring.table, referring.row
    cause = _name_cause(referring, event)
    if now is None:
        if event == "update":
            return None  # no foreign key deletes when its parent is updated: another client did
        return RowChange(table.schema, table.name, "delete", table.key, row.image, None, cause)
    columns = {name for name in referring.columns if row.image.exact[name] != now.image.exact[name]}
    if not columns:
        return None
    before = keep_others_changes(table, row.image, now.image, columns)
    return RowChange(table.schema, table.name, "update", table.key, before, now.image, cause, tuple(sorted(columns)))


def keep_others_changes(table: Table, before: Image, after: Image, ours: Collection[str]) -> Image:
    """`before` with the values that others may have changed since it was read: not `ours`, and no date or time."""
    theirs = [
        name
        for name, value in before.exact.items()
        if name not in ours and value != after.exact[name] and not table.columns[name].type.startswith(_TIMES)
    ]
    return _mix_images(before, after, frozenset(theirs)) if theirs else before


def _mix_images(image: Image, other: Image, names: frozenset[str]) -> Image:
    """`image` with these columns as `other` has them."""
    shown, taken = _tokens(image.shown), _tokens(other.shown)
    mixed = {name: taken[name] if name in names else token for name, token in shown.items()}
    exact = {name: other.exact[name] if name in names else value for name, value in image.exact.items()}
    return Image(exact, msgspec.json.encode(mixed))
