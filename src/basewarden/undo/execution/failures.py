"""How carrying out a plan ends when it does not."""

from collections.abc import Sequence

from basewarden.undo.planning.plan import RowPlan
from basewarden.undo.receipt import RowConflict
from pgrest import DatabaseError


class PlanRejected(Exception):
    """The database did not take the plan, or did something else; the transaction must be rolled back."""

    def __init__(
        self, conflicts: Sequence[RowConflict], *, error: DatabaseError | None = None, rows: Sequence[RowPlan] = ()
    ) -> None:
        """`error` is the database's own; `rows` are those that the conflicts are about, where that is known."""
        super().__init__("the plan was refused")
        self.conflicts = tuple(conflicts)
        self.error = error
        self.rows = tuple(rows)


class ConcurrentChange(Exception):
    """Others were in the way; the same may pass the next time."""
