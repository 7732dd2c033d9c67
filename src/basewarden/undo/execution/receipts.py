"""Makes the receipts of previews, refusals and executed undos."""

from dataclasses import dataclass, replace
from uuid import UUID

from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.planning.samples import sample_plan
from basewarden.undo.receipt import Receipt, RowConflict, count_brought_back
from basewarden.undo.stored_receipt import StoredReceipt, make_stored_receipt
from basewarden.undo.target import UndoTarget


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What the execution of a plan came to.

    `conflicts` are all of them, those of the plan and those that were found while it was executed. `already_reverted`
    rows were as before when the first plan was made. `overwritten_edits` are the settled conflicts whose rows were
    restored. `notes` say which columns triggers overwrote and which rows they
    changed.
    """

    plan: UndoPlan
    conflicts: tuple[RowConflict, ...]
    already_reverted: int
    overwritten_edits: tuple[RowConflict, ...] = ()
    notes: tuple[str, ...] = ()

    def make_receipt(self, undo_id: UUID | None = None) -> Receipt:
        reverted = max(0, self.plan.planned - self.already_reverted - len(self.conflicts))
        receipt = replace(
            make_receipt(self.plan),
            reverted=reverted,
            already_reverted=self.already_reverted,
            skipped=len(self.conflicts),
            conflicts=self.conflicts,
            overwritten_edits=self.overwritten_edits,
            undo_session_id=undo_id,
        )
        return receipt.with_notes(self.notes)

    def make_stored_receipt(self, target: UndoTarget, undo_id: UUID) -> StoredReceipt:
        remaining = len(self.conflicts) + target.not_covered + len(self.notes)
        return make_stored_receipt(
            self.make_receipt(undo_id),
            remaining=remaining,
            position=target.position,
            writes=target.writes_undone,
            other_rows=target.other_rows if target.writes_undone else None,
            earlier_undos=target.earlier_undos,
        )


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
        overwritten_edits=plan.overwritten_edits,
        shown=sample_plan(plan) if preview_token is not None else (),
        names=plan.names,
        brought_back=count_brought_back(plan.brought_back),
        brought_back_columns=plan.brought_back,
    )


def make_initial_receipt(target: UndoTarget, plan: UndoPlan) -> StoredReceipt:
    """The receipt of an undo that ends before its first request: only what was reverted before is reverted."""
    open_rows = plan.planned - plan.already_reverted
    return make_stored_receipt(
        replace(make_receipt(plan), skipped=open_rows),
        remaining=open_rows + target.not_covered,
        position=target.position,
        irreversible_count=target.not_covered,
        writes=target.writes_undone,
        other_rows=target.other_rows if target.writes_undone else None,
        earlier_undos=target.earlier_undos,
    )
