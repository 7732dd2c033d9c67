"""Finds trigger-set columns that were also edited by hand since the session: the undo must keep those edits.

The values of a column do not show whether a trigger or a person changed it. So the undo is executed and reversed inside
a savepoint, and the result is compared with the row as it is. The same value means that the triggers derive it, and
they may derive it again; another value means that it was set by hand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from basewarden.journal import Image
from basewarden.undo.direct.reader import read_rows
from basewarden.undo.direct.statements import Step, make_update, write_alone
from basewarden.undo.planning.manual_edits import list_manual_edits, list_watched_columns
from basewarden.undo.planning.plan import RowPlan, UndoPlan
from basewarden.undo.planning.row_reader import Key
from pgrest import DatabaseError, DbConnection, Statement, Table

_SAVE = Statement("SAVEPOINT bw_trial")
_ROLL_BACK = (Statement("ROLLBACK TO SAVEPOINT bw_trial"), Statement("RELEASE SAVEPOINT bw_trial"))
_DEFER = Statement("SET CONSTRAINTS ALL DEFERRED")


@dataclass(frozen=True, slots=True)
class _EditTrial:
    """A row, and its images after the undo, after that was reversed, and after the undo was repeated."""

    row: RowPlan
    undone: Image
    redone: Image
    again: Image

    def protect(self) -> RowPlan:
        """Values that differ each time, such as counters and clocks, are kept like the times that triggers set."""
        now = (self.row.current or self.undone).exact
        moved = [name for name in list_watched_columns(self.row) if self.undone.exact.get(name) != now.get(name)]
        kept = tuple(name for name in moved if self.redone.exact.get(name) != now.get(name))
        edited = tuple(name for name in kept if self.again.exact.get(name) == self.undone.exact.get(name))
        return replace(self.row, kept=(*self.row.kept, *kept), edited=edited)


async def protect_manual_edits(connection: DbConnection, plan: UndoPlan) -> UndoPlan:
    """Returns the plan with each column in `kept` whose edit triggers would overwrite; changes nothing."""
    watched = [row for row in plan.writes if _may_overwrite_edit(row)]
    if not watched:
        return plan
    protected = {id(row): changed for row, changed in zip(watched, await _try_out(connection, watched), strict=True)}
    groups = tuple(tuple(protected.get(id(row), row) for row in group) for group in plan.groups)
    return replace(plan, rows=tuple(protected.get(id(row), row) for row in plan.rows), groups=groups)


def _may_overwrite_edit(row: RowPlan) -> bool:
    """Whether the row was changed since the session, and triggers run on its updates."""
    if row.action != "update" or row.current is None or not _has_triggers(row.table):
        return False
    after = row.change.after or {}
    return any(row.current.exact.get(name) != after.get(name) for name in list_watched_columns(row))


def _has_triggers(table: Table) -> bool:
    return any("UPDATE" in trigger.events and trigger.enabled in "OA" for trigger in table.triggers)


async def _try_out(connection: DbConnection, rows: Sequence[RowPlan]) -> list[RowPlan]:
    """Decides by the values alone where the database rejects the trial."""
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
    return any(undone.exact.get(name) != now.get(name) for name in list_watched_columns(row))


def _protect_by_values(row: RowPlan) -> RowPlan:
    names = list_manual_edits(row)
    return replace(row, kept=(*row.kept, *names), edited=names)


async def _write_and_read(connection: DbConnection, rows: Sequence[RowPlan], *, is_undo: bool) -> dict[int, Image]:
    """Returns the image of each row, by its id(). Raises KeyError where a row no longer exists."""
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
