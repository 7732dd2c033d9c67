"""One press: what a session wrote is taken back, as a session of its own.

The order is the journal's: the undo's changes are stored as pending before they are made. An undo that was cut off
in between is resolved the next time somebody looks, by what became of its writes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

from basewarden.db import Database, Listener
from basewarden.errors import NotFound
from basewarden.gateway import Projects
from basewarden.gateway.forward.reach import FindReach
from basewarden.journal import Recorder, Settler, find_undo_of
from basewarden.undo import queries
from basewarden.undo.book import Book, make_receipt
from basewarden.undo.direct import DirectWay
from basewarden.undo.errors import AlreadyUndone, SessionPending, UndoRunning
from basewarden.undo.fold import fold_writes
from basewarden.undo.forward import ForwardWay
from basewarden.undo.past import Past, Presser
from basewarden.undo.values import OnConflict, Receipt
from basewarden.undo.ways import Way


class Undo:
    """`find_reach` tells how a project is reached of which only its own API is known."""

    def __init__(
        self,
        database: Database,
        listener: Listener,
        projects: Projects,
        recorder: Recorder,
        settler: Settler,
        find_reach: FindReach,
    ) -> None:
        self._database = database
        self._settler = settler
        self._find_reach = find_reach
        self._recorder = recorder
        self._book = Book(database, listener)
        self._direct = DirectWay(projects, recorder, self._book)

    async def preview(self, connection_id: UUID, session_id: UUID) -> Receipt:
        """What an undo would do as things are; reads only."""
        await self._settle(connection_id, session_id)
        past = await self._read_past(connection_id, session_id)
        way = await self._find_way(connection_id)
        return replace(make_receipt(await way.preview(past)), by_steps=way.by_steps)

    async def apply(
        self, connection_id: UUID, session_id: UUID, presser: Presser, on_conflict: OnConflict = "refuse"
    ) -> Receipt:
        """Raises UndoConflict, with nothing changed, where it must refuse."""
        await self._settle(connection_id, session_id)
        async with self._only_one(session_id):
            past = await self._read_past(connection_id, session_id)
            way = await self._find_way(connection_id)
            return await way.carry_out(past, presser, on_conflict)

    async def _find_way(self, connection_id: UUID) -> Way:
        reach = await self._find_reach(connection_id)
        return self._direct if reach is None else ForwardWay(reach, self._recorder, self._book)

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
                await self._book.resolve(unit, running.id)

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
