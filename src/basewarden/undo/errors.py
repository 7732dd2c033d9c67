"""The errors of undo."""

from typing import Any

from basewarden.errors import AppError, TooLarge, Unavailable
from basewarden.errors import Conflict as ConflictError
from basewarden.undo.receipt import Receipt


class UndoConflict(ConflictError):
    """Nothing was changed; the receipt with the reasons is part of the response body, beside the error's fields."""

    code = "undo_conflict"
    message = "Some rows have conflicts and cannot be undone. Nothing was changed."

    def __init__(self, receipt: Receipt) -> None:
        body = receipt.body()
        super().__init__(details=body, hint="Review the conflicts, or undo the other rows with onConflict=skip.")
        self.receipt = receipt

    def body(self) -> dict[str, Any]:
        return {**super().body(), **self.details}


class PreviewStale(ConflictError):
    """Nothing was changed; `details` is the receipt of a new preview. `writes` were added since the old one."""

    code = "preview_stale"
    message = "The result of this undo has changed since the preview. Nothing was changed; review the new preview."

    def __init__(self, receipt: Receipt, writes: int = 0) -> None:
        arrived = (
            f"{writes:,} more write{'' if writes == 1 else 's'} arrived since the preview. "
            "Nothing was changed; review the new preview."
        )
        super().__init__(arrived if writes else None, details=receipt.body())
        self.receipt = receipt


class SessionPending(ConflictError):
    code = "session_pending"
    message = (
        "A transaction of this session is still open in the project's database. End it, or try again when it has ended."
    )


class UndoRunning(ConflictError):
    code = "undo_running"
    message = "This session is already being undone. Wait until that undo has finished."


class AlreadyUndone(ConflictError):
    code = "already_undone"
    message = "This session is already undone."


class UndoRaced(ConflictError):
    code = "write_conflict"
    message = "Another transaction was writing the same rows. Nothing was changed; try again."


class ProjectAway(Unavailable):
    code = "project_unavailable"
    message = "The project's database cannot be reached. Nothing was changed; try again."


class UndoUnsettled(Unavailable):
    code = "undo_unsettled"
    message = (
        "The connection was lost while the undo was being committed. Reload the session in a moment to see its result."
    )


class RowsLocked(ConflictError):
    code = "rows_locked"
    message = (
        "Another transaction has locked rows of this undo, so nothing was changed. "
        "End that transaction in the project's database, then try again."
    )


class ProjectReadOnly(ConflictError):
    code = "project_read_only"
    message = "The project's database is read-only, so nothing was changed. Allow writes there, then try again."


class UndoTimedOut(AppError):
    status = 504
    code = "query_timeout"
    message = (
        "The project's database stopped the undo at its time limit, so nothing was changed. "
        "Try again, or raise statement_timeout for the connection's role."
    )


class ProjectExhausted(Unavailable):
    code = "project_exhausted"
    message = (
        "The project's database has run out of disk space, memory or connections, so nothing was changed. "
        "Free some of them, then try again."
    )


class UndoTooComplex(TooLarge):
    code = "undo_too_complex"
    message = "The undo exceeds a limit of the project's database. Nothing was changed."


class UndoTooLarge(TooLarge):
    code = "undo_too_large"
    message = "This session changed more data than one undo can hold in memory. Nothing was changed."


class ProjectFailed(AppError):
    status = 502
    code = "project_failed"
    message = "The project's database reported an internal error. Nothing was changed."


_FAILURES: tuple[tuple[str, type[AppError]], ...] = (
    ("57014", UndoTimedOut),
    ("25006", ProjectReadOnly),
    ("55P03", RowsLocked),
    ("53", ProjectExhausted),
    ("54", UndoTooComplex),
    ("08", ProjectAway),
    ("25P03", ProjectAway),
    ("57", ProjectAway),
)


def make_failure(sqlstate: str) -> AppError:
    """The error for the actor where the project's database failed for a reason other than the rows."""
    for prefix, kind in _FAILURES:
        if sqlstate.startswith(prefix):
            return kind(details={"sqlstate": sqlstate})
    return ProjectFailed(details={"sqlstate": sqlstate})


REFUSALS: tuple[type[AppError], ...] = (
    UndoConflict,
    PreviewStale,
    SessionPending,
    UndoRunning,
    AlreadyUndone,
    UndoRaced,
    RowsLocked,
    ProjectReadOnly,
    UndoTooComplex,
    UndoTooLarge,
    ProjectFailed,
    ProjectAway,
    UndoUnsettled,
    ProjectExhausted,
    UndoTimedOut,
)
