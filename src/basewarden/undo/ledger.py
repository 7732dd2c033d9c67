"""Records an undo in the journal: that it runs, its outcome, and the new status of the session that it undid."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from basewarden.db import Database, Listener, WriteSession
from basewarden.journal import SESSION_TOPIC, Capture, JournalSession, SessionCaller
from basewarden.undo import queries
from basewarden.undo.errors import UndoRunning
from basewarden.undo.execution.receipts import make_receipt
from basewarden.undo.overwritten_rows import list_written_conflicts
from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.receipt import Receipt
from basewarden.undo.stored_receipt import StoredReceipt, decode_receipt, encode_receipt
from basewarden.undo.target import UndoActor, UndoTarget


class UndoLedger:
    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener

    async def start(
        self,
        target: UndoTarget,
        undo_id: UUID,
        actor: UndoActor,
        receipt: StoredReceipt,
        capture: Capture = "statement",
    ) -> None:
        """`receipt` is what another process completes where this one ends before the undo does.

        The unique index on running undos prevents a second one even where the lock would not.
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
                    receipt=encode_receipt(receipt),
                )
            )

    async def mark_failed(self, undo_id: UUID) -> None:
        async with self._database.write_now() as unit:
            await self._mark_failed(unit, undo_id)

    async def finish(self, undo_id: UUID, receipt: StoredReceipt | None = None) -> None:
        """`receipt` replaces the one that was stored at the start; None keeps that one."""
        async with self._database.unit_of_work() as unit:
            await self._finish(unit, undo_id, receipt)

    async def resolve(self, unit: WriteSession, undo_id: UUID) -> None:
        """Ends an undo whose process died, by the state of its writes."""
        states = await queries.list_write_states(unit, undo_id)
        if "pending" in states:
            raise UndoRunning
        if "committed" in states:
            await self._finish(unit, undo_id, await self._make_interrupted_receipt(unit, undo_id))
        else:
            await self._mark_failed(unit, undo_id)

    async def finish_without_writes(self, target: UndoTarget, plan: UndoPlan) -> Receipt:
        """For a plan without writes: the session is undone if all its rows are reverted already."""
        if plan.already_reverted and not plan.conflicts:
            async with self._database.unit_of_work() as unit:
                chain = await queries.lock_chain(unit, target.session_id)
                is_current = chain[0].position == target.position and _do_as_before(
                    target.earlier_undos, await queries.map_undos_in_effect(unit, target.session_id)
                )
                if is_current and not target.not_covered:
                    await self._set_status(unit, chain, "undone")
        return replace(make_receipt(plan), skipped=len(plan.conflicts))

    async def _make_interrupted_receipt(self, unit: WriteSession, undo_id: UUID) -> StoredReceipt | None:
        """None for an undo in one transaction, whose stored receipt holds; else counts the rows that were journaled."""
        undo, *_ = await queries.lock_chain(unit, undo_id)
        if undo.capture == "statement":
            return None
        receipt = decode_receipt(undo.receipt)
        overwritten = await list_written_conflicts(unit, undo_id, receipt)
        return receipt.after_interruption(await queries.count_written_rows(unit, undo_id), overwritten)

    async def _mark_failed(self, unit: WriteSession, undo_id: UUID) -> None:
        undo, *_ = await queries.lock_chain(unit, undo_id)
        undo.undo_state = "failed"

    async def _finish(self, unit: WriteSession, undo_id: UUID, receipt: StoredReceipt | None) -> None:
        """Stores the outcome, and what it means for the session that was undone and for what that had undone."""
        undo, undone, *earlier = await queries.lock_chain(unit, undo_id)
        if receipt is not None:
            undo.receipt = encode_receipt(receipt)
        undo.undo_state = "done"
        await self._set_status(unit, [undone, *earlier], await _find_status(unit, undone))

    async def _set_status(self, unit: WriteSession, chain: Sequence[JournalSession], status: str) -> None:
        """Undoing an undo makes the session that it had undone effective again, and so on along the chain."""
        for place, session in enumerate(chain):
            session.status = status
            await self._listener.announce(unit, SESSION_TOPIC, str(session.id))
            if place + 1 < len(chain):
                status = await _find_status(unit, chain[place + 1])


async def _find_status(unit: WriteSession, undone: JournalSession) -> str:
    """The status of a session by its undos, which may have been undone themselves, also while another one ran.

    It is undone if one of them left nothing, and the earlier ones that this counted on still do what they did then.
    """
    await unit.flush()
    in_effect = await queries.map_undos_in_effect(unit, undone.id)
    for undo in await queries.list_undos_in_effect(unit, undone.id):
        receipt = decode_receipt(undo.receipt)
        is_complete = undo.status in ("open", "held") and receipt.is_complete_at(undone.position)
        if is_complete and _do_as_before(receipt.earlier_undos, in_effect):
            return "undone"
    return "partly_undone" if in_effect else "open"


def _do_as_before(earlier: Collection[UUID], in_effect: Mapping[UUID, frozenset[UUID]]) -> bool:
    """Whether `earlier` undos are in effect, and the same undos of theirs."""
    now = {one for root, ids in in_effect.items() if root in earlier for one in ids}
    return now == set(earlier)


def make_caller(target: UndoTarget, actor: UndoActor, capture: Capture = "statement") -> SessionCaller:
    return SessionCaller(target.connection_id, "undo", actor.id, actor.name, capture=capture)
