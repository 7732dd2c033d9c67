"""Finds by trial the rows that only the database can reject: by a check, an exclusion constraint or a trigger.

Rows that depend on each other are written or excluded together, so any set of such groups is a consistent undo.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from basewarden.undo.direct.apply import Applied
from basewarden.undo.direct.rejected_rows import find_rejected_rows
from basewarden.undo.execution.failures import PlanRejected
from basewarden.undo.planning.plan import RowPlan, UndoPlan, make_conflict
from basewarden.undo.receipt import RowConflict
from pgrest import DatabaseError, DbConnection, Statement

MOST_TRIES = 100
"""How often a rejected undo is tried in parts to find the rows that cause the rejection."""
_SAVE = Statement("SAVEPOINT bw_half")
_RELEASE = Statement("RELEASE SAVEPOINT bw_half")
_ROLL_BACK = Statement("ROLLBACK TO SAVEPOINT bw_half")

Group = tuple[RowPlan, ...]
Attempt = Callable[[Sequence[RowPlan]], Awaitable[Applied]]
"""Writes rows; raises PlanRejected."""


@dataclass(slots=True)
class _PartialResult:
    """`tries` is the number of attempts that remain; None = unlimited."""

    tries: int | None = None
    applied: list[Applied] = field(default_factory=list)
    refused: list[RowPlan] = field(default_factory=list)
    conflicts: list[RowConflict] = field(default_factory=list)

    def refuse(self, rows: Collection[RowPlan], refused: PlanRejected) -> None:
        """Rows that the rejection names keep its conflict with its columns; the others get its reason."""
        named = {_identify(conflict): conflict for conflict in refused.conflicts if conflict.primary_key}
        reason = refused.conflicts[0].reason
        conflicts = (make_conflict(row.change, reason, table=row.table, found=row.current) for row in rows)
        self.refused += rows
        self.conflicts += [named.get(_identify(conflict), conflict) for conflict in conflicts]

    def may_try(self) -> bool:
        if self.tries is None:
            return True
        self.tries -= 1
        return self.tries >= 0


def _identify(conflict: RowConflict) -> tuple[str, str, str]:
    return (conflict.schema, conflict.table, repr(dict(conflict.primary_key)))


async def apply_possible(connection: DbConnection, plan: UndoPlan, attempt: Attempt) -> tuple[UndoPlan, Applied]:
    """Writes everything that the database accepts, and returns the plan without the rest."""
    outcome = _PartialResult()
    await _try_groups(connection, plan.groups, attempt, outcome)
    changes = tuple(change for part in outcome.applied for change in part.changes)
    notes = tuple(note for part in outcome.applied for note in part.notes)
    uncaptured = tuple(item for part in outcome.applied for item in part.uncaptured)
    return exclude_rows(plan, outcome.refused, outcome.conflicts), Applied(changes, notes, uncaptured)


async def apply_all(connection: DbConnection, plan: UndoPlan, attempt: Attempt) -> Applied:
    """Writes all or nothing. Raises PlanRejected with the rows that were found to cause it, and their conflicts."""
    await connection.run([_SAVE])
    try:
        applied = await attempt(plan.writes)
        await connection.run([_RELEASE])
    except PlanRejected as refused:
        await connection.run([_ROLL_BACK])
        outcome = _PartialResult(MOST_TRIES)
        await _try_parts(connection, plan.groups, refused, attempt, outcome)
        await connection.run([_ROLL_BACK, _RELEASE])
        if not outcome.conflicts:
            raise
        raise PlanRejected(outcome.conflicts, rows=outcome.refused) from refused
    return applied


def exclude_rows(plan: UndoPlan, rows: Sequence[RowPlan], conflicts: Sequence[RowConflict]) -> UndoPlan:
    gone = {id(row) for row in rows}
    return replace(
        plan,
        rows=tuple(row for row in plan.rows if id(row) not in gone),
        conflicts=(*plan.conflicts, *conflicts),
    )


async def _try_groups(
    connection: DbConnection, groups: Sequence[Group], attempt: Attempt, outcome: _PartialResult
) -> None:
    rows = [row for group in groups for row in group if row.action != "nothing"]
    if not rows or not outcome.may_try():
        return
    await connection.run([_SAVE])
    try:
        applied = await attempt(rows)
        await connection.run([_RELEASE])
        outcome.applied.append(applied)
    except PlanRejected as refused:
        await connection.run([_ROLL_BACK, _RELEASE])
        await _try_parts(connection, groups, refused, attempt, outcome)


async def _try_parts(
    connection: DbConnection, groups: Sequence[Group], refused: PlanRejected, attempt: Attempt, outcome: _PartialResult
) -> None:
    """Tries rejected groups again: without those that cause the rejection if they are known, else in halves."""
    if len(groups) <= 1:
        outcome.refuse(groups[0] if groups else (), refused)
        return
    wrong = await _find_wrong_groups(connection, groups, refused.error)
    if wrong:
        outcome.refuse([row for number in wrong for row in groups[number]], refused)
        left = [group for number, group in enumerate(groups) if number not in wrong]
        await _try_groups(connection, left, attempt, outcome)
        return
    half = len(groups) // 2
    await _try_groups(connection, groups[:half], attempt, outcome)
    await _try_groups(connection, groups[half:], attempt, outcome)


async def _find_wrong_groups(
    connection: DbConnection, groups: Sequence[Group], error: DatabaseError | None
) -> frozenset[int]:
    if error is None:
        return frozenset()
    rows = [row for group in groups for row in group]
    places = [number for number, group in enumerate(groups) for _ in group]
    return frozenset(places[number] for number in await find_rejected_rows(connection, rows, error))
