"""Decides, row by row, what an undo does: compare-and-set on the exact text of columns.

Each row is decided by itself first. What it needs of other rows (a restored parent, a unique value that another row
gives up, children that leave) is a `Dependency`. A row with an unmet dependency is a conflict, and so is every row that
depends on it.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Literal, NamedTuple

from basewarden.journal import Image
from basewarden.undo.planning.choices import NO_CHOICES, Choices, make_conflict_id
from basewarden.undo.planning.fold import NetChange, Values
from basewarden.undo.receipt import BroughtBackColumns, ColumnValues, RowConflict, TableCount, show_value
from pgrest import Name, Table

Action = Literal["insert", "update", "delete", "nothing"]
_NO_VALUES: Values = {}
_DATES = "D"  # pg_type.typcategory of dates and times
CHANGED_AGAIN = "The row was changed again after the preview, so it was not restored."


@dataclass(frozen=True, slots=True)
class RowPlan:
    """`current` is the row as it is, `target` as it will be; None = no row.

    `restored` columns get the values from before the session; `kept` columns belong to a later edit, and triggers of
    the undo must not change them. Of those, `edited` were set by hand: if they cannot be kept, the row is a conflict.
    `overwrites` is the conflict that a person settled by restoring the row over its newer values. `uncertain` columns
    are set by the database from other ones: what it makes of the restored ones is not known.
    """

    change: NetChange
    table: Table
    current: Image | None
    target: Values | None
    restored: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    overwrites: RowConflict | None = None
    uncertain: tuple[str, ...] = ()

    @property
    def action(self) -> Action:
        if self.current is None:
            return "nothing" if self.target is None else "insert"
        if self.target is None:
            return "delete"
        return "update" if self.restored else "nothing"

    @property
    def written(self) -> tuple[str, ...]:
        """The columns that the undo writes."""
        if self.action == "insert":
            return tuple(name for name in self.target or () if not self.table.columns[name].generated)
        return self.restored

    @property
    def current_key(self) -> tuple[str, ...] | None:
        return self.current.key(self.table.key) if self.current else None

    @property
    def target_key(self) -> tuple[str, ...] | None:
        return tuple(self.target[name] or "" for name in self.table.key) if self.target else None

    def will_hold(self, columns: Sequence[str], values: Sequence[str | None]) -> bool:
        """Whether this row has `values` in `columns` after the undo."""
        return self.target is not None and all(
            self.target.get(name) == value for name, value in zip(columns, values, strict=True)
        )

    def read_current(self, columns: Sequence[str], placeholders: Values = _NO_VALUES) -> tuple[str | None, ...]:
        """What the row holds in `columns` now; `placeholders` were written over its values."""
        exact = self.current.exact if self.current else _NO_VALUES
        if not placeholders:
            return tuple(exact.get(name) for name in columns)
        return tuple(placeholders[name] if name in placeholders else exact.get(name) for name in columns)

    def gained_values(self, columns: Sequence[str], placeholders: Values = _NO_VALUES) -> tuple[str, ...] | None:
        """The values that the row will hold in `columns` and does not hold now; None if one of them is null."""
        if self.target is None or self.action == "nothing":
            return None
        values = tuple(self.target.get(name) for name in columns)
        if self.current is not None and values == self.read_current(columns, placeholders):
            return None
        return _require_all(values)

    def lost_values(self, columns: Sequence[str], placeholders: Values = _NO_VALUES) -> tuple[str, ...] | None:
        """The values that the row holds in `columns` now and may not hold after the undo; None if one is null."""
        if self.current is None or self.action == "nothing":
            return None
        values = _require_all(self.read_current(columns, placeholders))
        if values is None or any(name in self.uncertain for name in columns):
            return values
        return None if self.will_hold(columns, values) else values


def _require_all(values: Sequence[str | None]) -> tuple[str, ...] | None:
    return None if None in values else tuple(value or "" for value in values)


@dataclass(frozen=True, slots=True)
class Dependency:
    """Row number `row` can be reverted only if row number `on` is; `on` None = it cannot be reverted."""

    row: int
    on: int | None
    reason: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class UndoPlan:
    """What an undo does, and the conflicts that it found."""

    rows: tuple[RowPlan, ...]
    conflicts: tuple[RowConflict, ...]
    irreversible: tuple[str, ...] = ()
    groups: tuple[tuple[RowPlan, ...], ...] = ()
    """The same rows, grouped so that rows which depend on each other are together."""
    dependencies: tuple[Dependency, ...] = ()
    """The dependencies that are met, by row numbers: an incremental undo reverts `on` first."""
    undone_earlier: int = 0
    """How many rows an earlier undo of the session reverted; later changes of them belong to others."""
    digest: str = ""
    """A hash of the planned writes and conflicts."""
    notes: tuple[str, ...] = ()
    """What a preview could not find out."""
    names: Mapping[tuple[Name, tuple[str, ...]], str] = field(default_factory=dict)
    """Of a preview: what people call its first rows, by table and key."""
    brought_back: BroughtBackColumns = field(default_factory=dict)
    """Of a preview: the columns whose earlier value was written by a session that is undone."""

    def with_brought_back(self, found: BroughtBackColumns) -> "UndoPlan":
        return replace(self, brought_back=found)

    @property
    def planned(self) -> int:
        return len(self.rows) + len(self.conflicts) + self.undone_earlier

    @cached_property
    def already_reverted(self) -> int:
        """How many rows are as they were before the session, so that nothing needs to be written."""
        return self.undone_earlier + len(self.rows) - len(self.writes)

    @cached_property
    def tables(self) -> tuple[TableCount, ...]:
        counts = Counter((row.table.qualified, row.action) for row in self.writes)
        names = sorted({name for name, _ in counts})
        return tuple(
            TableCount(".".join(name), counts[name, "insert"], counts[name, "update"], counts[name, "delete"])
            for name in names
        )

    @property
    def overwritten_edits(self) -> tuple[RowConflict, ...]:
        return tuple(row.overwrites for row in self.writes if row.overwrites is not None)

    @cached_property
    def writes(self) -> tuple[RowPlan, ...]:
        return tuple(row for row in self.rows if row.action != "nothing")


class SchemaMismatch(NamedTuple):
    reason: str
    columns: tuple[str, ...] = ()


def find_schema_mismatch(change: NetChange, table: Table | None) -> SchemaMismatch | None:
    """Why a recorded row does not fit its table in the schema snapshot; None where it does."""
    if table is None:
        return SchemaMismatch("The table no longer exists.")
    if table.key != change.key_columns:
        return SchemaMismatch("The table's primary key was changed.")
    missing = tuple(name for name in _list_recorded_columns(change) if name not in table.columns)
    return SchemaMismatch("A column no longer exists.", missing) if missing else None


def decide_row(
    change: NetChange,
    table: Table | None,
    found: Image | None,
    *,
    is_reverted: bool = False,
    defaults: Values = _NO_VALUES,
    choices: Choices = NO_CHOICES,
) -> RowPlan | RowConflict:
    """`found` is the row at the key where the session left it (before the session, for a deleted or reverted row).

    `defaults` are what columns hold that were added to the table after the row was recorded. `choices` settle
    conflicts that are only about newer values.
    """
    mismatch = find_schema_mismatch(change, table)
    if mismatch is not None:
        return make_conflict(change, mismatch.reason, mismatch.columns, table=table, found=found)
    assert table is not None  # find_schema_mismatch has checked it
    conflict = partial(make_conflict, change, table=table, found=found)
    if change.is_replaced:
        return conflict("Another write replaced or changed this row between two of the session's writes.")
    if change.is_rewritten:
        return conflict("A later write of the same session moved, deleted or replaced this row.")
    if overlaid := tuple(name for name in change.changed_later if not table.columns[name].generated):
        return conflict("A later write of the same session changed this row, too.", overlaid)
    if is_reverted and found is not None:
        return RowPlan(change, table, found, found.exact)
    if change.before is None:
        return _decide_inserted(change, table, found, defaults, choices)
    if change.after is None:
        return _decide_deleted(change, table, found, change.before)
    return _decide_updated(change, table, found, choices)


def list_added_columns(change: NetChange, table: Table) -> tuple[str, ...]:
    """The columns that were added to the table after the session inserted the row."""
    if change.before is not None or change.after is None:
        return ()
    return tuple(name for name, column in table.columns.items() if name not in change.after and not column.generated)


def make_conflict(
    change: NetChange,
    reason: str,
    columns: Iterable[str] = (),
    *,
    table: Table | None = None,
    found: Image | None = None,
) -> RowConflict:
    """`found` is the row as it is, if that is known."""
    names = tuple(columns)
    values = tuple(_show_values(change, name, table, found) for name in names)
    key = change.key_after or change.key_before or ()
    image = found.exact if found else change.after or change.before or {}
    return RowConflict(change.schema, change.table, change.primary_key, names, reason, values, key, image)


def _show_values(change: NetChange, name: str, table: Table | None, found: Image | None) -> ColumnValues:
    column = table.columns.get(name) if table is not None else None
    texts = ((image or {}).get(name) for image in (change.before, change.after, found.exact if found else None))
    return ColumnValues(name, *(show_value(column, text) for text in texts))


def find_blocked(rows: Sequence[RowPlan], dependencies: Sequence[Dependency]) -> Mapping[int, RowConflict]:
    """Conflicts by row number: rows with an unmet dependency, and all rows that depend on those."""
    conflicts: dict[int, RowConflict] = {}
    waiting: dict[int, list[Dependency]] = {}
    blocked: deque[Dependency] = deque()
    for dependency in dependencies:
        if dependency.on is None:
            blocked.append(dependency)
        else:
            waiting.setdefault(dependency.on, []).append(dependency)
    while blocked:
        dependency = blocked.popleft()
        if dependency.row not in conflicts:
            row = rows[dependency.row]
            conflicts[dependency.row] = make_conflict(
                row.change, dependency.reason, dependency.columns, table=row.table, found=row.current
            )
            blocked.extend(waiting.get(dependency.row, ()))
    return conflicts


def group_rows(
    rows: Sequence[RowPlan], dependencies: Sequence[Dependency], blocked: Mapping[int, RowConflict]
) -> tuple[tuple[RowPlan, ...], ...]:
    """Groups the rows that are not blocked: rows that depend on each other are in one group."""
    leader = list(range(len(rows)))

    def find(number: int) -> int:
        while leader[number] != number:
            leader[number] = number = leader[leader[number]]
        return number

    for dependency in dependencies:
        if dependency.on is not None:
            leader[find(dependency.row)] = find(dependency.on)
    groups: dict[int, list[RowPlan]] = {}
    for number, row in enumerate(rows):
        if number not in blocked:
            groups.setdefault(find(number), []).append(row)
    return tuple(tuple(group) for group in groups.values())


def digest_plan(rows: Iterable[RowPlan], conflicts: Iterable[RowConflict]) -> str:
    """Equal for plans that write the same to the same rows; the present values of other columns do not matter."""
    lines = [
        repr((row.table.qualified, row.action, row.current_key, row.target_key, _list_written(row)))
        for row in rows
        if row.action != "nothing"
    ]
    lines += [
        repr((one.schema, one.table, sorted(map(repr, one.primary_key.items())), one.columns, one.reason))
        for one in conflicts
    ]
    return hashlib.blake2b("\n".join(sorted(lines)).encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _list_written(row: RowPlan) -> list[tuple[str, str | None]]:
    return [(name, (row.target or {})[name]) for name in row.written]


def _list_recorded_columns(change: NetChange) -> Iterable[str]:
    return change.columns if change.verb == "update" else change.before or change.after or ()


def _decide_inserted(
    change: NetChange, table: Table, found: Image | None, defaults: Values, choices: Choices
) -> RowPlan | RowConflict:
    if found is None:
        return RowPlan(change, table, None, None)  # it was deleted already
    moved = _list_differing(table, change.after or {}, found.exact)
    moved += [name for name in list_added_columns(change, table) if found.exact.get(name) != defaults.get(name)]
    deleted = RowPlan(change, table, found, None)
    if not moved:
        return deleted
    reason = "The row was changed after the session inserted it."
    conflict = make_conflict(change, reason, moved, table=table, found=found)
    return _settle(conflict, deleted, found.exact.items(), choices)


def _decide_deleted(change: NetChange, table: Table, found: Image | None, before: Values) -> RowPlan | RowConflict:
    if found is not None:
        moved = _list_differing(table, before, found.exact)
        if not moved:
            return RowPlan(change, table, found, found.exact)  # it was reverted already
        reason = "Another row now has the key of the deleted row."
        return make_conflict(change, reason, table=table, found=found)
    if change.gap_columns:
        return _make_gap_conflict(change, table, found)
    return RowPlan(change, table, None, before)


def _decide_updated(change: NetChange, table: Table, found: Image | None, choices: Choices) -> RowPlan | RowConflict:
    if found is None:
        return make_conflict(change, "The row no longer exists: it was deleted, or its key was changed.")
    restored, moved = _compare_columns(change, table, found)
    gaps = [name for name in change.gap_columns if _is_gap(change, table, found, name)]
    if not gaps and not moved:
        return _restore_columns(change, table, found, restored)
    written = {*restored, *moved, *_list_trigger_set(change, table, found)}
    overwritten = [name for name in change.columns if name in written]
    lost = dict.fromkeys([*gaps, *moved, *_list_newer(change, table, found, overwritten)])
    reason = _explain_gap(gaps) if gaps else f"{_name_columns(moved)} changed after the session's write."
    conflict = make_conflict(change, reason, lost, table=table, found=found)
    state = [(name, found.exact.get(name), change.columns[name].old) for name in overwritten]
    return _settle(conflict, _restore_columns(change, table, found, overwritten), state, choices)


def _is_gap(change: NetChange, table: Table, found: Image, name: str) -> bool:
    """Whether restoring the column loses the value that others gave it; not where it has its earlier value again."""
    return not table.columns[name].generated and found.exact.get(name) != change.columns[name].old


def _compare_columns(change: NetChange, table: Table, found: Image) -> tuple[list[str], list[str]]:
    """The columns that still hold what the session left there, and those that hold another value now."""
    restored: list[str] = []
    moved: list[str] = []
    for name, column in change.columns.items():
        now = found.exact.get(name)
        if table.columns[name].generated or (now == column.old and not column.is_trigger_set):
            continue
        if now == column.new:
            restored.append(name)
        elif not column.is_trigger_set:
            moved.append(name)
    return restored, moved


def _list_trigger_set(change: NetChange, table: Table, found: Image) -> list[str]:
    """The trigger-set columns to restore with a row over its newer values; none where they belong to another edit."""
    after = change.after or {}
    others = (name for name, column in table.columns.items() if name not in change.columns and not column.generated)
    if any(found.exact.get(name) != after.get(name) for name in others):
        return []
    return [
        name
        for name, column in change.columns.items()
        if column.is_trigger_set and not table.columns[name].generated and found.exact.get(name) != column.old
    ]


def _list_newer(change: NetChange, table: Table, found: Image, names: Iterable[str]) -> list[str]:
    """Those of the columns whose value is another edit's: who chooses to restore the row must see what is lost.

    The times that triggers set are left out, since every edit sets them.
    """
    newer = (name for name in names if found.exact.get(name) != change.columns[name].new)
    return [name for name in newer if table.columns[name].category != _DATES or not change.columns[name].is_trigger_set]


def _restore_columns(change: NetChange, table: Table, found: Image, restored: Sequence[str]) -> RowPlan:
    unchanged = {name for name, column in change.columns.items() if found.exact.get(name) == column.new}
    derived = {name for name in unchanged if table.columns[name].generated}
    target = {**found.exact, **{name: change.columns[name].old for name in (*restored, *derived)}}
    uncertain = _list_uncertain(change, table, found, restored)
    return RowPlan(change, table, found, target, tuple(restored), _list_kept(table, restored), uncertain=uncertain)


def _list_uncertain(change: NetChange, table: Table, found: Image, restored: Sequence[str]) -> tuple[str, ...]:
    """The columns that were set with the session's others, and that another edit has set again since."""
    return tuple(
        name
        for name, column in change.columns.items()
        if (column.is_trigger_set or table.columns[name].generated)
        and name not in restored
        and found.exact.get(name) not in (column.old, column.new)
    )


def _settle(
    conflict: RowConflict, restored: RowPlan, overwritten: Iterable[object], choices: Choices
) -> RowPlan | RowConflict:
    """The row as the person chose it. `overwritten` are the values that restoring it loses, and what they become."""
    if restored.action == "nothing":
        return conflict
    row = (conflict.schema, conflict.table, conflict.key, restored.action)
    conflict_id = make_conflict_id(row, overwritten)
    conflict = replace(conflict, id=conflict_id, deletes=restored.action == "delete")
    if choices.includes(conflict_id):
        return replace(restored, overwrites=conflict)
    if choices.is_outdated(conflict_id):
        return replace(conflict, reason=f"{conflict.reason} {CHANGED_AGAIN}")
    return conflict


def _list_kept(table: Table, restored: Sequence[str]) -> tuple[str, ...]:
    """Only times: triggers derive other values (a slug, a count, a version) again from the restored row."""
    return tuple(
        name
        for name, column in table.columns.items()
        if column.category == _DATES and not column.generated and name not in restored
    )


def _make_gap_conflict(change: NetChange, table: Table, found: Image | None) -> RowConflict:
    names = change.gap_columns
    return make_conflict(change, _explain_gap(names), names, table=table, found=found)


def _explain_gap(names: Sequence[str]) -> str:
    return f"{_name_columns(names)} changed between two of the session's writes."


def _name_columns(names: Sequence[str]) -> str:
    return f"The column {names[0]} was" if len(names) == 1 else f"The columns {', '.join(names)} were"


def _list_differing(table: Table, expected: Values, found: Values) -> list[str]:
    return [name for name, value in expected.items() if not table.columns[name].generated and found.get(name) != value]
