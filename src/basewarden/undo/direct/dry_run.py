"""Executes the undo for a preview in a transaction that is rolled back, so that the database's rejections are known.

It waits only briefly for locks. It holds its own for as long as writing the rows takes, so it skips large undos.
"""

from dataclasses import replace
from functools import partial

from basewarden.errors import AppError
from basewarden.gateway.direct import AS_OWNER
from basewarden.undo.direct.apply import try_rows
from basewarden.undo.direct.partial_apply import apply_all, exclude_rows
from basewarden.undo.direct.trigger_effects import apply_counted
from basewarden.undo.execution.failures import ConcurrentChange, PlanRejected
from basewarden.undo.planning.plan import UndoPlan
from pgrest import DatabaseError, DbConnection, Schema, Statement, roll_back

MOST_TRIED_ROWS = 5_000
_BEGIN = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
_LIMITS = Statement(
    "SELECT pg_catalog.set_config('lock_timeout', '1s', true), pg_catalog.set_config('statement_timeout', '5s', true)"
)
_NOT_TRIED = "This preview compares rows. The undo itself was not tested, because {reason}."
_REASONS = {
    "25006": "the database is read-only",
    "55P03": "other transactions are writing the same rows",
    "57014": "it would take more than a few seconds",
}


async def dry_run_plan(connection: DbConnection, *, schema: Schema, plan: UndoPlan) -> UndoPlan:
    """Returns the plan with the database's rejections as conflicts. Leaves no transaction open."""
    if not plan.writes:
        return plan
    if len(plan.writes) > MOST_TRIED_ROWS:
        return _note_not_tried(plan, f"it changes more than {MOST_TRIED_ROWS:,} rows")
    try:
        await connection.run([_BEGIN, _LIMITS, AS_OWNER])
        await apply_all(connection, plan, partial(apply_counted, connection, schema, write=try_rows))
    except PlanRejected as refused:
        return exclude_rows(plan, refused.rows, refused.conflicts)
    except (ConcurrentChange, AppError, DatabaseError) as error:
        reason = _find_reason(error)
        if reason is None:
            raise
        return _note_not_tried(plan, reason)
    finally:
        if connection.is_usable:
            await connection.run(roll_back(connection))
    return plan


def _find_reason(error: Exception) -> str | None:
    """Looks at the database's error, or at the cause of the error that it was translated to."""
    if isinstance(error, ConcurrentChange):
        return _REASONS["55P03"]
    database_error = error if isinstance(error, DatabaseError) else error.__cause__
    return _REASONS.get(database_error.sqlstate) if isinstance(database_error, DatabaseError) else None


def _note_not_tried(plan: UndoPlan, reason: str) -> UndoPlan:
    return replace(plan, notes=(*plan.notes, _NOT_TRIED.format(reason=reason)))
