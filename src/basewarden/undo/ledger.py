"""The journal's word on an undo: that it runs, what it came to, and what that means for the session it undid."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from basewarden.db import Database, Listener, WriteSession
from basewarden.journal import SESSION_TOPIC, Capture, JournalSession, SessionCaller
from basewarden.undo import queries
from basewarden.undo.errors import UndoRunning
from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.receipt import Receipt
from basewarden.undo.target import UndoActor, UndoTarget

_STATUS_BEFORE = {"undone": "open", "open": "undone", "partly_undone": "partly_undone"}


class UndoLedger:
    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener

    async def start(
        self,
        target: UndoTarget,
        undo_id: UUID,
        actor: UndoActor,
        stored: dict[str, Any],
        capture: Capture = "statement",
    ) -> None:
        """`stored` is the receipt, with what a process needs that finds this undo cut off.

        The unique index on running undos holds even where the lock would not.
        """
        caller = make_caller(target, actor, capture)
        async with self._database.unit_of_work() as unit:
            unit.add(
                JournalSession(
                    id=undo_id,
                    connection_id=target.connection_id,
                    caller_key=caller.caller_key,
                    kind=caller.kind,
                    user_id=actor.id,
                    caller_name=actor.name,
                    label=None,
                    capture=capture,
                    undo_of=target.session_id,
                    undo_state="running",
                    receipt=stored,
                )
            )

    async def mark_failed(self, undo_id: UUID) -> None:
        async with self._database.write_now() as unit:
            await self._mark_failed(unit, undo_id)

    async def finish(self, undo_id: UUID, receipt: dict[str, Any] | None = None) -> None:
        """`receipt`: what it came to, where that was not known when it was opened."""
        async with self._database.unit_of_work() as unit:
            await self._finish(unit, undo_id, receipt)

    async def resolve(self, unit: WriteSession, undo_id: UUID) -> None:
        """An undo that was cut off: by what became of its writes."""
        states = await queries.list_write_states(unit, undo_id)
        if "pending" in states:
            raise UndoRunning
        if "committed" in states:
            await self._finish(unit, undo_id, await self._make_interrupted_receipt(unit, undo_id))
        else:
            await self._mark_failed(unit, undo_id)

    async def finish_without_writes(self, target: UndoTarget, plan: UndoPlan) -> Receipt:
        """Nothing needs to be written: the session is undone if it was one, and every row of it is back already."""
        if plan.already_reverted and not plan.conflicts:
            async with self._database.unit_of_work() as unit:
                chain = await queries.lock_chain(unit, target.session_id)
                if chain[0].position == target.position and not target.folded.irreversible:
                    await self._set_status(unit, chain, "undone")
        return replace(make_receipt(plan), skipped=len(plan.conflicts))

    async def _make_interrupted_receipt(self, unit: WriteSession, undo_id: UUID) -> dict[str, Any] | None:
        """One transaction did all that its receipt says. Of several, only the rows that the journal has are back."""
        undo, *_ = await queries.lock_chain(unit, undo_id)
        if undo.capture == "statement":
            return None
        receipt: dict[str, Any] = undo.receipt or {}
        open_rows = int(receipt.get("planned", 0)) - int(receipt.get("alreadyAsBefore", 0))
        reverted = min(open_rows, await queries.count_written_rows(unit, undo_id))
        left = open_rows - reverted + int(receipt.get("lasting", 0))
        return {**receipt, "reverted": reverted, "skipped": open_rows - reverted, "left": left}

    async def _mark_failed(self, unit: WriteSession, undo_id: UUID) -> None:
        undo, *_ = await queries.lock_chain(unit, undo_id)
        undo.undo_state = "failed"

    async def _finish(self, unit: WriteSession, undo_id: UUID, told: dict[str, Any] | None) -> None:
        """The journal's word on the undo, on what it undid, and on what that had undone before."""
        undo, undone, *earlier = await queries.lock_chain(unit, undo_id)
        if told is not None:
            undo.receipt = told
        receipt = undo.receipt or {}
        undo.undo_state = "done"
        is_whole = receipt.get("left") == 0 and receipt.get("position") == undone.position
        await self._set_status(unit, [undone, *earlier], "undone" if is_whole else "partly_undone")

    async def _set_status(self, unit: WriteSession, chain: Sequence[JournalSession], status: str) -> None:
        """Where an undo is undone, what it had undone stands again; and so on, back to the first of them."""
        for session in chain:
            session.status = status
            status = _STATUS_BEFORE[status]
            await self._listener.announce(unit, SESSION_TOPIC, str(session.id))


def make_caller(target: UndoTarget, actor: UndoActor, capture: Capture = "statement") -> SessionCaller:
    return SessionCaller(target.connection_id, "undo", actor.id, actor.name, capture=capture)


def make_receipt(plan: UndoPlan, preview_token: str | None = None) -> Receipt:
    return Receipt(
        plan.planned,
        0,
        0,
        plan.conflicts,
        plan.irreversible,
        tables=plan.tables,
        already_reverted=plan.already_reverted,
        preview_token=preview_token,
        notes=plan.notes,
    )
