"""The way through the database: everything in one transaction, stored as pending before its COMMIT."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar
from uuid import UUID

from basewarden.core.ids import make_id
from basewarden.errors import AppError
from basewarden.gateway import UNDO, Project, Projects
from basewarden.gateway.capture.images import WITH_SESSION_PATH
from basewarden.gateway.road import commit_recorded
from basewarden.journal import Recorder, WriteEntry
from basewarden.pgrest import Connection, DatabaseError, PgrestError, Statement
from basewarden.undo.apply import Applied, Raced, Refused, apply_rows, explain_error
from basewarden.undo.book import Book, make_caller, make_receipt
from basewarden.undo.errors import ProjectAway, UndoConflict, UndoRaced, UndoUnsettled
from basewarden.undo.fold import Folded
from basewarden.undo.past import Past, Presser
from basewarden.undo.plan import Plan
from basewarden.undo.planning import make_plan
from basewarden.undo.rows import DatabaseReader
from basewarden.undo.skipping import apply_what_goes
from basewarden.undo.values import OnConflict, Receipt

_BEGIN = Statement("BEGIN ISOLATION LEVEL READ COMMITTED")
_BEGIN_READING = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_READ_XID = Statement("SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text")
_OUTCOME_UNKNOWN = ("08", "57")


class DirectWay:
    by_steps: ClassVar[bool] = False

    def __init__(self, projects: Projects, recorder: Recorder, book: Book) -> None:
        self._projects = projects
        self._recorder = recorder
        self._book = book

    async def preview(self, past: Past) -> Plan:
        async with self._open_project(past.connection_id) as (project, connection):
            await connection.run([_BEGIN_READING])
            return await _plan(connection, project, past.folded, lock=False)

    async def carry_out(self, past: Past, presser: Presser, on_conflict: OnConflict) -> Receipt:
        async with self._open_project(past.connection_id) as (project, connection):
            return await self._carry_out(connection, project, past, presser, on_conflict)

    @asynccontextmanager
    async def _open_project(self, connection_id: UUID) -> AsyncIterator[tuple[Project, Connection]]:
        """What is left open is rolled back when the connection returns to its pool."""
        project = await self._projects.get_direct(connection_id)
        try:
            async with project.pool.acquire(UNDO) as connection:
                yield project, connection
        except PgrestError as error:
            raise ProjectAway from error

    async def _carry_out(
        self, connection: Connection, project: Project, past: Past, presser: Presser, on_conflict: OnConflict
    ) -> Receipt:
        await connection.run([_BEGIN])
        plan = await _plan(connection, project, past.folded, lock=True)
        if plan.conflicts and on_conflict == "refuse":
            raise UndoConflict(make_receipt(plan))
        if not plan.writes:
            return await self._book.close_unwritten(past, plan)
        plan, applied = await _apply(connection, plan, on_conflict)
        if not applied.changes:
            return await self._book.close_unwritten(past, plan)
        xid = await _read_xid(connection)
        undo_id = make_id()
        receipt = replace(
            make_receipt(plan).with_notes(applied.notes),
            reverted=len(plan.rows),
            skipped=len(plan.conflicts),
            undo_session_id=undo_id,
        )
        left = len(plan.conflicts) + len(past.folded.irreversible) + len(applied.notes)
        stored = {**receipt.body(), "left": left, "position": past.position}
        await self._book.open(past, undo_id, presser, stored)
        await self._record_and_commit(connection, past, undo_id, presser, applied, xid)
        return receipt

    async def _record_and_commit(
        self, connection: Connection, past: Past, undo_id: UUID, presser: Presser, applied: Applied, xid: int
    ) -> None:
        caller = make_caller(past, presser)
        summary = f"undo of {past.title}"
        entry = WriteEntry(caller, xid, "undo", "", "", summary, applied.changes, session_id=undo_id)
        try:
            recorded = await self._recorder.record(entry)
            await commit_recorded(connection, self._recorder, recorded.write_id)
        except AppError:
            await self._book.call_off(undo_id)
            raise
        except PgrestError as error:
            raise UndoUnsettled from error
        except DatabaseError as error:
            if error.sqlstate.startswith(_OUTCOME_UNKNOWN):
                raise UndoUnsettled from error
            await self._book.call_off(undo_id)
            raise UndoRaced from error
        await self._book.close(undo_id)


async def _plan(connection: Connection, project: Project, folded: Folded, *, lock: bool) -> Plan:
    try:
        return await make_plan(DatabaseReader(connection, lock), await project.schema(), folded)
    except DatabaseError as error:
        raise _translate(explain_error(error), None) from error


async def _apply(connection: Connection, plan: Plan, on_conflict: OnConflict) -> tuple[Plan, Applied]:
    """What was carried out in the end: the database itself may know of more conflicts."""
    await connection.run([WITH_SESSION_PATH])
    try:
        if on_conflict == "skip":
            return await apply_what_goes(connection, plan)
        return plan, await apply_rows(connection, plan.writes)
    except (Refused, Raced) as turn:
        raise _translate(turn, plan) from turn


async def _read_xid(connection: Connection) -> int:
    (rows,) = await connection.run([_READ_XID])
    return int(rows.rows[0][0] or 0)


def _translate(turn: Exception, plan: Plan | None) -> Exception:
    if isinstance(turn, Raced):
        return UndoRaced()
    if isinstance(turn, Refused):
        known = plan or Plan((), ())
        refused = Receipt(known.planned, 0, 0, (*known.conflicts, *turn.conflicts), known.irreversible)
        return UndoConflict(refused)
    return turn
