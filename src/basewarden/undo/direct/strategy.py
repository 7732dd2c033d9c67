"""Executes an undo in one transaction on the project's database, which is journaled as pending before its COMMIT."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import ClassVar, TypeVar
from uuid import UUID

from basewarden.core.ids import make_id
from basewarden.errors import AppError
from basewarden.gateway import UNDO, Projects
from basewarden.gateway.direct import commit_recorded
from basewarden.journal import Recorder, WriteEntry
from basewarden.undo.direct.apply import Applied, explain_error
from basewarden.undo.direct.dry_run import dry_run_plan
from basewarden.undo.direct.manual_edits import protect_manual_edits
from basewarden.undo.direct.partial_apply import apply_all, apply_possible
from basewarden.undo.direct.reader import DatabaseReader
from basewarden.undo.direct.schema_check import check_schema_current
from basewarden.undo.direct.trigger_effects import apply_counted
from basewarden.undo.direct.worker_thread import run_in_worker
from basewarden.undo.errors import UndoUnsettled
from basewarden.undo.execution.failures import (
    ConcurrentChange,
    PlanRejected,
    translate_failure,
    translate_project_errors,
)
from basewarden.undo.execution.preconditions import check_plan
from basewarden.undo.execution.receipts import UndoResult
from basewarden.undo.execution.schema_retry import run_on_current_schema
from basewarden.undo.ledger import UndoLedger, make_caller
from basewarden.undo.planning.choices import NO_CHOICES, Choices
from basewarden.undo.planning.fold import describe_counts
from basewarden.undo.planning.names import find_names
from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.planning.planner import make_chosen_plan
from basewarden.undo.receipt import OnConflict, Receipt
from basewarden.undo.row_samples import SampleWindow
from basewarden.undo.target import ApplyOptions, UndoActor, UndoTarget
from basewarden.undo.tokens import make_token
from pgrest import DatabaseError, DbConnection, PgrestError, Schema, Statement, roll_back

MOST_TRIES = 8  # a migration may have many transactions
LOCK_TIMEOUT = "5s"
_BEGIN = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
_BEGIN_READING = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_LIMIT_WAITING = Statement("SELECT pg_catalog.set_config('lock_timeout', $1, true)", (LOCK_TIMEOUT.encode(),))
_READ_XID = Statement("SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text")
_OUTCOME_UNKNOWN = ("08", "57")
T = TypeVar("T")


class DirectUndoStrategy:
    is_incremental: ClassVar[bool] = False

    def __init__(self, projects: Projects, recorder: Recorder, ledger: UndoLedger) -> None:
        self._projects = projects
        self._recorder = recorder
        self._ledger = ledger

    async def preview(
        self, target: UndoTarget, window: SampleWindow | None = None, choices: Choices = NO_CHOICES
    ) -> UndoPlan:
        async def read(connection: DbConnection, schema: Schema) -> UndoPlan:
            await connection.run([_BEGIN_READING, _LIMIT_WAITING])
            work = partial(_plan_with_names, schema=schema, target=target, window=window, choices=choices)
            plan = await run_in_worker(connection, work)
            await connection.run(roll_back(connection))
            try:
                return await run_in_worker(connection, partial(dry_run_plan, schema=schema, plan=plan))
            except DatabaseError as error:
                raise explain_error(error) from error

        return await self._on_current_schema(target.connection_id, read)

    async def execute(self, target: UndoTarget, actor: UndoActor, options: ApplyOptions) -> Receipt:
        async def write(connection: DbConnection, schema: Schema) -> Receipt:
            return await self._execute(connection, schema, target, actor, options)

        return await self._on_current_schema(target.connection_id, write)

    async def _on_current_schema(
        self, connection_id: UUID, attempt: Callable[[DbConnection, Schema], Awaitable[T]]
    ) -> T:
        """`attempt` begins a transaction. Where it leaves one open, the pool rolls that back."""
        project = await self._projects.get_direct(connection_id)

        async def run(schema: Schema) -> T:
            async with project.pool.acquire(UNDO) as connection:
                return await attempt(connection, schema)

        async def renew(schema: Schema, error: Exception) -> Schema | None:
            if isinstance(error, DatabaseError):
                return await project.schema() if await project.is_schema_changed(schema, error) else None
            return await project.reload_schema()

        async with translate_project_errors():
            try:
                return await run_on_current_schema(await project.schema(), run, renew, tries=MOST_TRIES)
            except DatabaseError as error:
                raise translate_failure(explain_error(error)) from error

    async def _execute(
        self, connection: DbConnection, schema: Schema, target: UndoTarget, actor: UndoActor, options: ApplyOptions
    ) -> Receipt:
        await connection.run([_BEGIN, _LIMIT_WAITING])
        work = partial(_plan, schema=schema, target=target, choices=options.choices, lock=True)
        plan = await run_in_worker(connection, work)
        check_plan(target, plan, options)
        if not plan.writes:
            return await self._ledger.finish_without_writes(target, plan)
        plan, applied = await _write_plan(connection, schema, target, plan, options)
        if not applied.changes:
            return await self._ledger.finish_without_writes(target, plan)
        await check_schema_current(connection, schema, {row.table.qualified for row in plan.writes})
        xid = await _read_xid(connection)
        undo_id = make_id()
        notes = (*applied.notes, *describe_counts(applied.uncaptured, "by triggers during this undo"))
        result = UndoResult(plan, plan.conflicts, plan.already_reverted, plan.overwritten_edits, notes)
        await self._ledger.start(target, undo_id, actor, result.make_stored_receipt(target, undo_id))
        await self._record_and_commit(connection, target, undo_id, actor, applied, xid)
        return result.make_receipt(undo_id)

    async def _record_and_commit(
        self, connection: DbConnection, target: UndoTarget, undo_id: UUID, actor: UndoActor, applied: Applied, xid: int
    ) -> None:
        summary = f"undo of {target.title}"
        entry = WriteEntry(
            make_caller(target, actor),
            xid,
            "undo",
            "",
            "",
            summary,
            applied.changes,
            uncaptured=applied.uncaptured,
            session_id=undo_id,
        )
        try:
            recorded = await self._recorder.record(entry)
            await commit_recorded(connection, self._recorder, recorded.write_id)
        except AppError:
            await self._ledger.mark_failed(undo_id)
            raise
        except PgrestError as error:
            raise UndoUnsettled from error
        except DatabaseError as error:
            if error.sqlstate.startswith(_OUTCOME_UNKNOWN):
                raise UndoUnsettled from error
            await self._ledger.mark_failed(undo_id)
            raise translate_failure(explain_error(error)) from error
        await self._ledger.finish(undo_id)


async def _plan(
    connection: DbConnection, *, schema: Schema, target: UndoTarget, choices: Choices, lock: bool
) -> UndoPlan:
    """Raises SnapshotStale where a table of the session differs from `schema`."""
    plan = await make_chosen_plan(DatabaseReader(connection, lock), schema, target.folded, choices)
    await check_schema_current(connection, schema, {(change.schema, change.table) for change in target.folded.changes})
    return plan


async def _plan_with_names(
    connection: DbConnection, *, schema: Schema, target: UndoTarget, window: SampleWindow | None, choices: Choices
) -> UndoPlan:
    """Rows keep their keys for names where the role may not read the tables that they refer to."""
    plan = await _plan(connection, schema=schema, target=target, choices=choices, lock=False)
    try:
        names = await find_names(DatabaseReader(connection, lock=False), schema, plan, window)
    except DatabaseError:
        return plan  # the transaction only reads, and ends now
    return replace(plan, names=names)


async def _write_plan(
    connection: DbConnection, schema: Schema, target: UndoTarget, plan: UndoPlan, options: ApplyOptions
) -> tuple[UndoPlan, Applied]:
    """Raises UndoConflict or UndoRaced where the database rejects the plan."""
    work = partial(_apply, schema=schema, plan=plan, on_conflict=options.on_conflict)
    try:
        return await run_in_worker(connection, work)
    except (PlanRejected, ConcurrentChange) as failure:
        raise translate_failure(failure, plan, make_token(target, plan)) from failure


async def _apply(
    connection: DbConnection, *, schema: Schema, plan: UndoPlan, on_conflict: OnConflict
) -> tuple[UndoPlan, Applied]:
    """Returns the plan that was written in the end: the database may have added conflicts."""
    plan = await _protect(connection, plan)
    attempt = partial(apply_counted, connection, schema)
    if on_conflict == "skip":
        return await apply_possible(connection, plan, attempt)
    return plan, await apply_all(connection, plan, attempt)


async def _protect(connection: DbConnection, plan: UndoPlan) -> UndoPlan:
    try:
        return await protect_manual_edits(connection, plan)
    except DatabaseError as error:
        raise explain_error(error) from error


async def _read_xid(connection: DbConnection) -> int:
    (rows,) = await connection.run([_READ_XID])
    return int(rows.rows[0][0] or 0)
