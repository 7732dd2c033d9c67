"""Columns that a trigger sets and somebody has set by hand since: an undo must not let the trigger overwrite them.

Whether a column that moved since the session was moved by hand or by its trigger, its values alone do not tell. So the
undo is tried out and taken back: what the triggers then make of the row as it stands is compared with what stands. The
same value means that they derive it, and they may derive it again; another one means that somebody's hand was there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from basewarden.journal import Image
from basewarden.undo.direct.reader import read_rows
from basewarden.undo.direct.statements import Step, make_update, write_alone
from basewarden.undo.planning.plan import RowPlan, UndoPlan
from basewarden.undo.planning.row_reader import Key
from pgrest import DatabaseError, DbConnection, Statement, Table

_DATES = "D"
_SAVE = Statement("SAVEPOINT bw_trial")
_ROLL_BACK = (Statement("ROLLBACK TO SAVEPOINT bw_trial"), Statement("RELEASE SAVEPOINT bw_trial"))
_DEFER = Statement("SET CONSTRAINTS ALL DEFERRED")


@dataclass(frozen=True, slots=True)
class _EditTrial:
    """A row, and what it was after the undo, after that was taken back, and after the undo once more."""

    row: RowPlan
    undone: Image
    redone: Image
    again: Image

    def protect(self) -> RowPlan:
        """A value that is another one each time, a count or the clock, is kept like the times that triggers set."""
        now = (self.row.current or self.undone).exact
        moved = [name for name in _list_watched(self.row) if self.undone.exact.get(name) != now.get(name)]
        kept = tuple(name for name in moved if self.redone.exact.get(name) != now.get(name))
        edited = tuple(name for name in kept if self.again.exact.get(name) == self.undone.exact.get(name))
        return replace(self.row, kept=(*self.row.kept, *kept), edited=edited)


async def protect_manual_edits(connection: DbConnection, plan: UndoPlan) -> UndoPlan:
    """The plan with every column in `kept` that the undo's triggers would take from somebody; changes nothing."""
    watched = [row for row in plan.writes if _may_overwrite_edit(row)]
    if not watched:
        return plan
    protected = {id(row): changed for row, changed in zip(watched, await _try_out(connection, watched), strict=True)}
    groups = tuple(tuple(protected.get(id(row), row) for row in group) for group in plan.groups)
    return replace(plan, rows=tuple(protected.get(id(row), row) for row in plan.rows), groups=groups)


def list_manual_edits(row: RowPlan) -> tuple[str, ...]:
    """What must have been set by hand, by its values alone: a trigger's column that is the only one to have moved.

    A whole number that grows is a count, which an edit and its reversal leave behind.
    """
    after, now = row.change.after or {}, row.current.exact if row.current is not None else {}
    moved = [name for name in _list_watched(row) if now.get(name) != after.get(name)]
    columns = row.change.columns
    stamps = tuple(
        name for name in moved if name in columns and columns[name].is_trigger_set and now[name] != columns[name].old
    )
    if row.action != "update" or len(stamps) != len(moved):
        return ()
    return tuple(name for name in stamps if not _has_grown(columns[name].old, columns[name].new, now[name]))


def _has_grown(*values: str | None) -> bool:
    numbers = [int(value) for value in values if value is not None and value.removeprefix("-").isdecimal()]
    return len(numbers) == len(values) and numbers == sorted(numbers)


def _may_overwrite_edit(row: RowPlan) -> bool:
    """Somebody has changed the row since, and triggers see its updates."""
    if row.action != "update" or row.current is None or not _has_triggers(row.table):
        return False
    after = row.change.after or {}
    return any(row.current.exact.get(name) != after.get(name) for name in _list_watched(row))


def _has_triggers(table: Table) -> bool:
    return any("UPDATE" in trigger.events and trigger.enabled in "OA" for trigger in table.triggers)


def _list_watched(row: RowPlan) -> list[str]:
    """The columns that the undo does not write, but for times, which stay anyhow."""
    columns = row.table.columns.items()
    return [
        name
        for name, column in columns
        if not column.generated and column.category != _DATES and name not in row.restored and name not in row.table.key
    ]


async def _try_out(connection: DbConnection, rows: Sequence[RowPlan]) -> list[RowPlan]:
    """Where the database does not let these rows go alone, values alone must tell."""
    await connection.run([_SAVE])
    try:
        undone = await _write_and_read(connection, rows, is_undo=True)
        moved = [row for row in rows if _is_moved(row, undone[id(row)])]
        trials = []
        if moved:
            redone = await _write_and_read(connection, moved, is_undo=False)
            again = await _write_and_read(connection, moved, is_undo=True)
            trials = [_EditTrial(row, *(images[id(row)] for images in (undone, redone, again))) for row in moved]
        await connection.run(_ROLL_BACK)
    except (DatabaseError, KeyError):
        await connection.run(_ROLL_BACK)
        return [_protect_by_values(row) for row in rows]
    protected = {id(trial.row): trial.protect() for trial in trials}
    return [protected.get(id(row), row) for row in rows]


def _is_moved(row: RowPlan, undone: Image) -> bool:
    now = (row.current or undone).exact
    return any(undone.exact.get(name) != now.get(name) for name in _list_watched(row))


def _protect_by_values(row: RowPlan) -> RowPlan:
    names = list_manual_edits(row)
    return replace(row, kept=(*row.kept, *names), edited=names)


async def _write_and_read(connection: DbConnection, rows: Sequence[RowPlan], *, is_undo: bool) -> dict[int, Image]:
    """What became of each row, by its id(). Raises KeyError where one is not there any more."""
    groups: dict[tuple[int, tuple[str, ...]], list[RowPlan]] = {}
    for row in rows:
        groups.setdefault((row.table.oid, row.restored), []).append(row)
    steps = [_make_step(group, is_undo=is_undo) for group in groups.values()]
    await connection.run([_DEFER, *(write_alone(step) for step in steps)])
    images: dict[int, Image] = {}
    for group in groups.values():
        places = {id(row): _find_place(row, is_undo=is_undo) for row in group}
        found = await read_rows(connection, group[0].table, places.values(), lock=False)
        images |= {number: found[place] for number, place in places.items()}
    return images


def _make_step(rows: Iterable[RowPlan], *, is_undo: bool) -> Step:
    first, *_ = group = list(rows)
    values = {}
    for row in group:
        target = (row.target if is_undo else row.current.exact if row.current else None) or {}
        values[_find_place(row, is_undo=not is_undo)] = tuple(target[name] for name in row.restored)
    return make_update(first.table, first.restored, values)


def _find_place(row: RowPlan, *, is_undo: bool) -> Key:
    return (row.target_key if is_undo else row.current_key) or ()
