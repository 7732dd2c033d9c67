"""Conflicts that show only while a plan is executed."""

from collections.abc import Sequence

from basewarden.undo.planning.plan import RowPlan, make_conflict
from basewarden.undo.receipt import RowConflict

NOT_RESTORED = "The row was not restored: a trigger or rule prevented it."
NOT_DELETED = "The row was not deleted: a trigger or rule prevented it."
KEPT_BY_TRIGGER = "A trigger prevents these columns from being restored."


def make_not_restored(row: RowPlan) -> RowConflict:
    """A row that is not there after it was inserted or updated."""
    return make_conflict(row.change, NOT_RESTORED)


def make_not_deleted(row: RowPlan) -> RowConflict:
    return make_conflict(row.change, NOT_DELETED)


def make_kept_by_trigger(row: RowPlan, columns: Sequence[str]) -> RowConflict:
    return make_conflict(row.change, KEPT_BY_TRIGGER, columns)


def describe_rejection(message: object) -> str:
    """`message` is the database's own."""
    return f"The database refused the change: {message}."
