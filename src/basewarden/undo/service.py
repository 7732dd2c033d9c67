"""Undoes what a session wrote. The undo is a session of its own.

The undo's changes are journaled as pending before they are made. An undo whose process died is resolved at the next
preview or undo of the same session, by the state of its writes.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

from basewarden.db import Database, Listener, ReadSession
from basewarden.errors import Invalid, NotFound
from basewarden.gateway import Projects
from basewarden.gateway.api import FindApiAccess
from basewarden.journal import JournalSession, Reconciler, Recorder, find_undo_of
from basewarden.undo import queries
from basewarden.undo.api import ApiUndoStrategy
from basewarden.undo.brought_back import find_brought_back
from basewarden.undo.direct.strategy import DirectUndoStrategy
from basewarden.undo.earlier_undos import find_undone_earlier, leave_out_reverted, list_effective_undos, read_rows_left
from basewarden.undo.errors import AlreadyUndone, PreviewStale, SessionPending, UndoRunning
from basewarden.undo.execution.receipts import make_receipt
from basewarden.undo.ledger import UndoLedger
from basewarden.undo.planning.choices import NO_CHOICES, Choices
from basewarden.undo.planning.fold import Folded, RecordedWrite, fold_writes
from basewarden.undo.planning.samples import sample_plan
from basewarden.undo.planning.selection import ChangeIdentity, fold_selected, keep_rows
from basewarden.undo.planning.unrestored_columns import keep_unrestored
from basewarden.undo.receipt import Receipt
from basewarden.undo.recorded_writes import read_writes
from basewarden.undo.row_samples import SampleWindow
from basewarden.undo.stored_receipt import decode_receipt
from basewarden.undo.strategy import UndoStrategy
from basewarden.undo.target import ApplyOptions, UndoActor, UndoTarget
from basewarden.undo.tokens import make_token

DEFAULT_BUDGET = 512 * 1024 * 1024
PREVIEW_WAIT_SECONDS = 2.0
APPLY_WAIT_SECONDS = 5.0
LOOK_SECONDS = 0.05
_REFUSE = ApplyOptions()


class Undo:
    """`find_api_access` returns the access to a project that is reached only through its REST API.

    `budget_bytes` is how much data of one session may be held in memory.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener,
        projects: Projects,
        recorder: Recorder,
        reconciler: Reconciler,
        find_api_access: FindApiAccess,
        *,
        budget_bytes: int = DEFAULT_BUDGET,
    ) -> None:
        self._database = database
        self._budget = budget_bytes
        self._reconciler = reconciler
        self._find_api_access = find_api_access
        self._recorder = recorder
        self._ledger = UndoLedger(database, listener)
        self._direct = DirectUndoStrategy(projects, recorder, self._ledger)

    async def find_session(self, connection_id: UUID, writes: Collection[UUID]) -> UUID:
        """The session that all these writes belong to."""
        async with self._database.read_only() as unit:
            found = await queries.list_sessions_of_writes(unit, connection_id, writes)
        if not writes or len(found) < len(set(writes)):
            raise NotFound("There is no such write.")
        if len(set(found.values())) > 1:
            raise Invalid.field("writeIds", "These writes belong to more than one session. Undo them one by one.")
        return next(iter(found.values()))

    async def find_row_changes(self, connection_id: UUID, mutations: Collection[int]) -> tuple[UUID, UUID, set[int]]:
        """The session and the write that all these row changes belong to, and their positions."""
        async with self._database.read_only() as unit:
            found = await queries.list_row_changes(unit, connection_id, mutations)
        if not mutations or len(found) < len(set(mutations)):
            raise NotFound("There is no such row change.")
        if len({write_id for _, write_id, _ in found}) > 1:
            message = "These row changes belong to more than one write. Undo them one by one."
            raise Invalid.field("mutationIds", message)
        session_id, write_id, _ = found[0]
        return session_id, write_id, {position for _, _, position in found}

    async def preview(
        self,
        connection_id: UUID,
        session_id: UUID,
        writes: Collection[UUID] = (),
        window: SampleWindow | None = None,
        choices: Choices = NO_CHOICES,
        rows: Collection[int] = (),
    ) -> Receipt:
        """Returns what an undo would do now; reads only. Writes that remain pending are not included.

        `writes` are those of the session to undo; none are all. `rows` are the positions of row changes of a single
        write; none are all. `window`: which rows a page shows. `choices` are those that the undo would be applied with.
        """
        await self._settle(connection_id, session_id)
        await self._wait_for_writes(connection_id, session_id, PREVIEW_WAIT_SECONDS)
        target = await self._read_past(connection_id, session_id, writes, rows)
        strategy = await self._select_strategy(connection_id)
        plan = await strategy.preview(target, window, choices)
        async with self._database.read_only() as unit:
            plan = await find_brought_back(unit, target, plan)
        receipt = make_receipt(plan, make_token(target, plan))
        receipt = replace(receipt, is_incremental=strategy.is_incremental, pending_writes=target.pending_writes)
        return receipt if window is None else replace(receipt, shown=sample_plan(plan, window))

    async def apply(
        self,
        connection_id: UUID,
        session_id: UUID,
        actor: UndoActor,
        options: ApplyOptions = _REFUSE,
        writes: Collection[UUID] = (),
        rows: Collection[int] = (),
    ) -> Receipt:
        """Raises UndoConflict or PreviewStale, with nothing changed, where the undo is refused."""
        await self._settle(connection_id, session_id)
        async with self._lock_session(session_id), self._hold_session(session_id):
            if await self._wait_for_writes(connection_id, session_id, APPLY_WAIT_SECONDS):
                raise SessionPending
            target = await self._read_past(connection_id, session_id, writes, rows)
            strategy = await self._select_strategy(connection_id)
            try:
                return await strategy.execute(target, actor, options)
            except PreviewStale as stale:
                await self._describe_stale(stale, strategy, connection_id, session_id, writes, options.choices, rows)
                raise

    async def _describe_stale(
        self,
        stale: PreviewStale,
        strategy: UndoStrategy,
        connection_id: UUID,
        session_id: UUID,
        writes: Collection[UUID],
        choices: Choices,
        rows: Collection[int],
    ) -> None:
        """The new preview warns of what a preview warns of."""
        new = await self.preview(connection_id, session_id, writes, choices=choices, rows=rows)
        stale.receipt = replace(
            stale.receipt,
            is_incremental=strategy.is_incremental,
            brought_back=new.brought_back,
            brought_back_columns=new.brought_back_columns,
            shown=new.shown,
        )
        stale.details = stale.receipt.body()

    @asynccontextmanager
    async def _hold_session(self, session_id: UUID) -> AsyncIterator[None]:
        """Meanwhile new writes of the session's caller go to another session."""
        async with self._database.write_now() as unit:
            is_held = await queries.hold_session(unit, session_id)
        try:
            yield
        finally:
            if is_held:
                async with self._database.write_now() as unit:
                    await queries.release_session(unit, session_id)

    async def _wait_for_writes(self, connection_id: UUID, session_id: UUID, seconds: float) -> int:
        """Waits until no write is pending. Returns how many still are when the time is over."""
        clock = asyncio.get_running_loop()
        end = clock.time() + seconds
        while True:
            async with self._database.read_only() as session:
                pending = await queries.count_pending_writes(session, session_id)
            if not pending or clock.time() > end:
                return pending
            await asyncio.sleep(LOOK_SECONDS)
            await self._reconciler.reconcile(connection_id)

    async def _select_strategy(self, connection_id: UUID) -> UndoStrategy:
        access = await self._find_api_access(connection_id)
        return self._direct if access is None else ApiUndoStrategy(access, self._recorder, self._ledger)

    @asynccontextmanager
    async def _lock_session(self, session_id: UUID) -> AsyncIterator[None]:
        """Prevents another undo and pruning. Holds no connection of our pool while the project is awaited."""
        async with self._database.locks.try_hold(queries.name_lock(session_id)) as is_held:
            if not is_held:
                raise UndoRunning
            yield

    async def _settle(self, connection_id: UUID, session_id: UUID) -> None:
        """Resolves pending writes, and undos whose process died.

        An undo of an undo decides what is left of the session, so all of them are resolved.
        """
        await self._reconciler.reconcile(connection_id)
        async with self._database.read_only() as session:
            running = await queries.list_running_undos(session, session_id)
        for undo_id, undone_id in running:
            async with self._lock_session(undone_id), self._database.unit_of_work() as unit:
                if await queries.is_running(unit, undo_id):
                    await queries.release_session(unit, undone_id)
                    await self._ledger.resolve(unit, undo_id)

    async def _follow_undos(self, unit: ReadSession, undos: Sequence[JournalSession], folded: Folded) -> Folded:
        """Adds the columns that earlier undos could not restore, because triggers set them again."""
        for undo in undos if folded.undone_earlier else ():
            rows_left = await read_rows_left(unit, undo, budget=self._budget)
            following, left = await asyncio.to_thread(keep_unrestored, folded, rows_left)
            folded = replace(following, undone_earlier=folded.undone_earlier - left)
        return folded

    async def _fold_all(
        self, unit: ReadSession, undos: Sequence[JournalSession], writes: Sequence[RecordedWrite]
    ) -> Folded:
        """What earlier undos of single writes reverted is no more part of the session's changes."""
        of_all = [undo for undo in undos if not decode_receipt(undo.receipt).writes]
        of_some = [undo for undo in undos if undo not in of_all]
        writes = await leave_out_reverted(unit, of_some, writes, budget=self._budget)
        folded = await asyncio.to_thread(fold_writes, writes)
        folded = replace(folded, undone_earlier=await find_undone_earlier(unit, of_all, folded))
        return await self._follow_undos(unit, of_all, folded)

    async def _read_past(
        self, connection_id: UUID, session_id: UUID, selected: Collection[UUID] = (), rows: Collection[int] = ()
    ) -> UndoTarget:
        async with self._database.snapshot() as unit:
            session = await queries.find_session(unit, connection_id, session_id)
            if session is None:
                raise NotFound("There is no such session.")
            target = await self._fold_past(unit, session, selected, rows)
            deleted = await queries.list_deleted_later(unit, session)
        return replace(target, folded=replace(target.folded, deleted_later=deleted))

    async def _fold_past(
        self, unit: ReadSession, session: JournalSession, selected: Collection[UUID], rows: Collection[int]
    ) -> UndoTarget:
        if session.status == "undone":
            undo = await find_undo_of(unit, session.id)
            raise AlreadyUndone(details={"undoSessionId": str(undo.id) if undo else None})
        writes = await read_writes(unit, session.id, session.position, budget=self._budget)
        undos = await list_effective_undos(unit, session)
        in_effect = await queries.map_undos_in_effect(unit, session.id)
        target = UndoTarget(
            session.connection_id,
            session.id,
            session.label or str(session.id),
            session.position,
            Folded((), ()),
            session.write_count,
            await queries.count_pending_writes(unit, session.id),
            earlier_undos=tuple(sorted({one for undo in undos for one in in_effect[undo.id]})),
        )
        if not selected:
            return replace(target, folded=await self._fold_all(unit, undos, writes))
        if session.kind == "undo":
            raise Invalid.field("writeIds", "An undo can only be undone as a whole.")
        if not frozenset(selected) <= {write.id for write in writes}:
            raise NotFound("There is no such write.")
        left = await leave_out_reverted(unit, undos, writes, budget=self._budget)
        target = await _select_writes(target, undos, writes, left, frozenset(selected))
        if not rows:
            return target
        places = await queries.list_row_places(unit, next(iter(selected)), rows) if len(selected) == 1 else set()
        return _select_rows(target, places, undos)


def _select_rows(target: UndoTarget, places: Collection[ChangeIdentity], undos: Sequence[JournalSession]) -> UndoTarget:
    """Of a single write, only these rows. Raises AlreadyUndone where they are no more part of its changes."""
    if not places:
        raise NotFound("There is no such row change.")
    folded = keep_rows(target.folded, places)
    if undos and not folded.changes:
        raise AlreadyUndone("This row change is already undone.", details={"undoSessionId": str(undos[-1].id)})
    if not folded.changes:
        raise NotFound("This row change has no effect of its own: the write changed the row again.")
    rows = len(target.folded.changes) - len(folded.changes)
    rest = rows + len(target.folded.irreversible)
    return replace(
        target, folded=folded, other_changes=target.other_changes + rest, other_rows=target.other_rows + rows
    )


async def _select_writes(
    target: UndoTarget,
    undos: Sequence[JournalSession],
    writes: Sequence[RecordedWrite],
    left: Sequence[RecordedWrite],
    selected: frozenset[UUID],
) -> UndoTarget:
    """`left` are the writes without what earlier undos reverted. Raises AlreadyUndone where that is all of these."""
    folded = await asyncio.to_thread(fold_selected, left, selected)
    if undos and not folded.changes and fold_selected(writes, selected).changes:
        raise AlreadyUndone("These writes are already undone.", details={"undoSessionId": str(undos[-1].id)})
    others = await asyncio.to_thread(fold_writes, [write for write in left if write.id not in selected])
    return replace(
        target,
        folded=folded,
        writes_undone=tuple(sorted(selected)),
        other_changes=len(others.changes) + len(others.irreversible),
        other_rows=len(others.changes),
    )
