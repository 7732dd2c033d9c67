"""One press: what a session wrote is taken back, in one transaction, as a session of its own.

The order is the journal's: the undo's changes are stored as pending before the project's COMMIT. An undo that
was cut off in between is resolved the next time somebody looks, by what became of its transaction.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from basewarden.core.ids import make_id
from basewarden.db import Database, Listener, WriteSession
from basewarden.errors import AppError, NotFound
from basewarden.gateway import Project, Projects
from basewarden.gateway.road import commit_recorded
from basewarden.journal import (
    SESSION_TOPIC,
    JournalSession,
    Recorder,
    SessionCaller,
    Settler,
    WriteEntry,
    find_undo_of,
)
from basewarden.pgrest import Connection, DatabaseError, PgrestError, Statement
from basewarden.undo import queries
from basewarden.undo.apply import Applied, Raced, Refused, apply_rows, explain_error
from basewarden.undo.errors import (
    AlreadyUndone,
    ProjectAway,
    SessionPending,
    UndoConflict,
    UndoRaced,
    UndoRunning,
    UndoUnsettled,
)
from basewarden.undo.fold import Folded, fold_writes
from basewarden.undo.plan import Plan
from basewarden.undo.planning import make_plan
from basewarden.undo.skipping import apply_what_goes
from basewarden.undo.values import OnConflict, Receipt

_BEGIN = Statement("BEGIN")
_BEGIN_READING = Statement("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
_READ_XID = Statement("SELECT pg_current_xact_id()::text")
_OUTCOME_UNKNOWN = ("08", "57")
_STANDS_AGAIN = {"undone": "open", "open": "undone", "partly_undone": "partly_undone"}


@dataclass(frozen=True, slots=True)
class Presser:
    """The person who presses."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Past:
    """What is to be undone, and up to which position of its session it was read."""

    connection_id: UUID
    session_id: UUID
    title: str
    position: int
    folded: Folded


class Undo:
    def __init__(
        self, database: Database, listener: Listener, projects: Projects, recorder: Recorder, settler: Settler
    ) -> None:
        self._database = database
        self._listener = listener
        self._projects = projects
        self._recorder = recorder
        self._settler = settler

    async def preview(self, connection_id: UUID, session_id: UUID) -> Receipt:
        """What an undo would do as things are; reads only."""
        await self._settle(connection_id, session_id)
        past = await self._read_past(connection_id, session_id)
        async with self._open_project(connection_id) as (project, connection):
            await connection.run([_BEGIN_READING])
            return _make_receipt(await _plan(connection, project, past.folded, lock=False))

    async def apply(
        self, connection_id: UUID, session_id: UUID, presser: Presser, on_conflict: OnConflict = "refuse"
    ) -> Receipt:
        """Raises UndoConflict, with nothing changed, where it must refuse."""
        await self._settle(connection_id, session_id)
        async with self._only_one(session_id):
            past = await self._read_past(connection_id, session_id)
            async with self._open_project(connection_id) as (project, connection):
                return await self._carry_out(connection, project, past, presser, on_conflict)

    @asynccontextmanager
    async def _open_project(self, connection_id: UUID) -> AsyncIterator[tuple[Project, Connection]]:
        """What is left open is rolled back when the connection returns to its pool."""
        project = await self._projects.get_direct(connection_id)
        try:
            async with project.pool.acquire() as connection:
                yield project, connection
        except PgrestError as error:
            raise ProjectAway from error

    @asynccontextmanager
    async def _only_one(self, session_id: UUID) -> AsyncIterator[None]:
        async with self._database.unit_of_work() as guard:
            if not await queries.try_lock_undo(guard, session_id):
                raise UndoRunning
            yield

    async def _settle(self, connection_id: UUID, session_id: UUID) -> None:
        """Learns what became of every write, and of an undo that was cut off."""
        await self._settler.settle(connection_id)
        async with self._database.read_only() as session:
            if await queries.find_running_undo(session, session_id) is None:
                return
        async with self._only_one(session_id), self._database.unit_of_work() as unit:
            running = await queries.find_running_undo(unit, session_id)
            if running is not None:
                await self._resolve(unit, running.id)

    async def _resolve(self, unit: WriteSession, undo_id: UUID) -> None:
        state = await queries.find_write_state(unit, undo_id)
        if state == "pending":
            raise UndoRunning
        if state == "committed":
            await self._close(unit, undo_id)
        else:
            await self._fail(unit, undo_id)

    async def _read_past(self, connection_id: UUID, session_id: UUID) -> Past:
        async with self._database.read_only() as unit:
            session = await queries.find_session(unit, connection_id, session_id)
            if session is None:
                raise NotFound("There is no such session.")
            if session.status == "undone":
                undo = await find_undo_of(unit, session_id)
                raise AlreadyUndone(details={"undoSessionId": str(undo.id) if undo else None})
            if await queries.has_pending_writes(unit, session_id):
                raise SessionPending
            writes = await queries.list_recorded_writes(unit, session_id, session.position)
            title = session.label or str(session.id)
            return Past(connection_id, session_id, title, session.position, fold_writes(writes))

    async def _carry_out(
        self, connection: Connection, project: Project, past: Past, presser: Presser, on_conflict: OnConflict
    ) -> Receipt:
        await connection.run([_BEGIN])
        plan = await _plan(connection, project, past.folded, lock=True)
        if plan.conflicts and on_conflict == "refuse":
            raise UndoConflict(_make_receipt(plan))
        if not plan.writes:
            return await self._close_unwritten(past, plan)
        plan, applied = await _apply(connection, plan, on_conflict)
        if not applied.changes:
            return await self._close_unwritten(past, plan)
        xid = await _read_xid(connection)
        undo_id = make_id()
        receipt = replace(
            _make_receipt(plan).with_notes(applied.notes),
            reverted=len(plan.rows),
            skipped=len(plan.conflicts),
            undo_session_id=undo_id,
        )
        left = len(plan.conflicts) + len(past.folded.irreversible) + len(applied.notes)
        stored = {**receipt.body(), "left": left, "position": past.position}
        await self._open(past, undo_id, presser, stored)
        await self._record_and_commit(connection, past, undo_id, presser, applied, xid)
        return receipt

    async def _record_and_commit(
        self, connection: Connection, past: Past, undo_id: UUID, presser: Presser, applied: Applied, xid: int
    ) -> None:
        caller = SessionCaller(past.connection_id, "undo", presser.id, presser.name)
        summary = f"undo of {past.title}"
        entry = WriteEntry(caller, xid, "undo", "", "", summary, applied.changes, session_id=undo_id)
        try:
            recorded = await self._recorder.record(entry)
            await commit_recorded(connection, self._recorder, recorded.write_id)
        except AppError:
            await self._call_off(undo_id)
            raise
        except PgrestError as error:
            raise UndoUnsettled from error
        except DatabaseError as error:
            if error.sqlstate.startswith(_OUTCOME_UNKNOWN):
                raise UndoUnsettled from error
            await self._call_off(undo_id)
            raise UndoRaced from error
        async with self._database.unit_of_work() as unit:
            await self._close(unit, undo_id)

    async def _open(self, past: Past, undo_id: UUID, presser: Presser, stored: dict[str, Any]) -> None:
        """`stored` is the receipt, with what a process needs that finds this undo cut off.

        The unique index on running undos holds even where the lock would not.
        """
        caller = SessionCaller(past.connection_id, "undo", presser.id, presser.name)
        async with self._database.unit_of_work() as unit:
            unit.add(
                JournalSession(
                    id=undo_id,
                    connection_id=past.connection_id,
                    caller_key=caller.caller_key,
                    kind=caller.kind,
                    user_id=presser.id,
                    caller_name=presser.name,
                    label=None,
                    undo_of=past.session_id,
                    undo_state="running",
                    receipt=stored,
                )
            )

    async def _call_off(self, undo_id: UUID) -> None:
        async with self._database.write_now() as unit:
            await self._fail(unit, undo_id)

    async def _fail(self, unit: WriteSession, undo_id: UUID) -> None:
        undo, *_ = await queries.lock_chain(unit, undo_id)
        undo.undo_state = "failed"

    async def _close(self, unit: WriteSession, undo_id: UUID) -> None:
        """The journal's word on the undo, on what it undid, and on what that had undone before."""
        undo, undone, *earlier = await queries.lock_chain(unit, undo_id)
        receipt = undo.receipt or {}
        undo.undo_state = "done"
        is_whole = receipt.get("left") == 0 and receipt.get("position") == undone.position
        await self._set_status(unit, [undone, *earlier], "undone" if is_whole else "partly_undone")

    async def _set_status(self, unit: WriteSession, chain: Sequence[JournalSession], status: str) -> None:
        """Where an undo is undone, what it had undone stands again; and so on, back to the first of them."""
        for session in chain:
            session.status = status
            status = _STANDS_AGAIN[status]
            await self._listener.announce(unit, SESSION_TOPIC, str(session.id))

    async def _close_unwritten(self, past: Past, plan: Plan) -> Receipt:
        """Nothing needs to be written: the session is undone if it was one, and every row of it is back already."""
        if plan.rows and not plan.conflicts:
            async with self._database.unit_of_work() as unit:
                chain = await queries.lock_chain(unit, past.session_id)
                if chain[0].position == past.position and not past.folded.irreversible:
                    await self._set_status(unit, chain, "undone")
        return replace(_make_receipt(plan), reverted=len(plan.rows), skipped=len(plan.conflicts))


async def _plan(connection: Connection, project: Project, folded: Folded, *, lock: bool) -> Plan:
    try:
        return await make_plan(connection, await project.schema(), folded, lock=lock)
    except DatabaseError as error:
        raise _translate(explain_error(error), None) from error


async def _apply(connection: Connection, plan: Plan, on_conflict: OnConflict) -> tuple[Plan, Applied]:
    """What was carried out in the end: the database itself may know of more conflicts."""
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


def _make_receipt(plan: Plan) -> Receipt:
    return Receipt(plan.planned, 0, 0, plan.conflicts, plan.irreversible, tables=plan.tables)
