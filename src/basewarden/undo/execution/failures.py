"""How the execution of a plan fails, and which error the actor sees then."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from basewarden.gateway import OutcomeUnknown, SnapshotStale, UpstreamUnavailable
from basewarden.undo.errors import ProjectAway, UndoConflict, UndoRaced, UndoTimedOut
from basewarden.undo.execution.receipts import make_receipt
from basewarden.undo.planning.plan import RowPlan, UndoPlan
from basewarden.undo.receipt import RowConflict
from pgrest import DatabaseError, PgrestError

_TIMED_OUT = "query_timeout"


class PlanRejected(Exception):
    """The database rejected the plan, or did something else; the transaction must be rolled back."""

    def __init__(
        self, conflicts: Sequence[RowConflict], *, error: DatabaseError | None = None, rows: Sequence[RowPlan] = ()
    ) -> None:
        """`error` is the database's own; `rows` are those that the conflicts are about, where that is known."""
        super().__init__("the plan was rejected")
        self.conflicts = tuple(conflicts)
        self.error = error
        self.rows = tuple(rows)


class ConcurrentChange(Exception):
    """Other transactions changed the same rows or tables; another attempt may succeed."""


def translate_failure(failure: Exception, plan: UndoPlan | None = None, token: str | None = None) -> Exception:
    """The error for the actor. `plan` is what failed and `token` its preview token, where there was a plan."""
    if isinstance(failure, ConcurrentChange):
        return UndoRaced()
    if isinstance(failure, PlanRejected):
        known = plan or UndoPlan((), ())
        rejected = replace(known, conflicts=(*known.conflicts, *failure.conflicts))
        return UndoConflict(make_receipt(rejected, token))
    return failure


@asynccontextmanager
async def translate_project_errors() -> AsyncIterator[None]:
    """For code that runs before anything was changed: an unreachable project and an outdated schema are refusals."""
    try:
        yield
    except PgrestError as error:
        raise (UndoTimedOut if error.code == _TIMED_OUT else ProjectAway) from error
    except (UpstreamUnavailable, OutcomeUnknown) as error:
        raise ProjectAway from error
    except SnapshotStale as error:
        raise UndoRaced from error
