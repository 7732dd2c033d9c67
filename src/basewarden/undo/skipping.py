"""Rows that only the database knows cannot go back (a check, an exclusion, a partial unique index): found by halving.

Rows that need each other stand or fall together, so any choice of such groups is a whole undo of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from basewarden.pgrest import Connection, Schema, Statement
from basewarden.undo.apply import Applied, Refused
from basewarden.undo.effects import apply_counted
from basewarden.undo.plan import Plan, RowPlan, make_conflict
from basewarden.undo.values import Conflict

_SAVE = Statement("SAVEPOINT bw_half")
_RELEASE = Statement("RELEASE SAVEPOINT bw_half")
_ROLL_BACK = Statement("ROLLBACK TO SAVEPOINT bw_half")

Group = tuple[RowPlan, ...]


@dataclass(slots=True)
class _Outcome:
    applied: list[Applied] = field(default_factory=list)
    refused: list[RowPlan] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)


async def apply_what_goes(connection: Connection, schema: Schema, plan: Plan) -> tuple[Plan, Applied]:
    """The plan without what the database refused, carried out."""
    outcome = _Outcome()
    await _try_groups(connection, schema, plan.groups, outcome)
    left_out = {id(row) for row in outcome.refused}
    kept = replace(
        plan,
        rows=tuple(row for row in plan.rows if id(row) not in left_out),
        conflicts=(*plan.conflicts, *outcome.conflicts),
    )
    changes = tuple(change for part in outcome.applied for change in part.changes)
    notes = tuple(note for part in outcome.applied for note in part.notes)
    return kept, Applied(changes, notes, tuple(item for part in outcome.applied for item in part.unseen))


async def _try_groups(connection: Connection, schema: Schema, groups: Sequence[Group], outcome: _Outcome) -> None:
    rows = [row for group in groups for row in group if row.action != "nothing"]
    if not rows:
        return
    await connection.run([_SAVE])
    try:
        outcome.applied.append(await apply_counted(connection, schema, rows))
        await connection.run([_RELEASE])
    except Refused as refused:
        await connection.run([_ROLL_BACK, _RELEASE])
        if len(groups) > 1:
            half = len(groups) // 2
            await _try_groups(connection, schema, groups[:half], outcome)
            await _try_groups(connection, schema, groups[half:], outcome)
        else:
            outcome.refused += groups[0]
            reason = refused.conflicts[0].reason
            outcome.conflicts += [make_conflict(row.change, reason) for row in groups[0]]
