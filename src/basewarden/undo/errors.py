"""Refusals of the undo."""

from typing import Any

from basewarden.errors import Conflict as ConflictError
from basewarden.errors import Unavailable
from basewarden.undo.values import Receipt


class UndoConflict(ConflictError):
    """Nothing was changed; the receipt says why, and is the answer's body beside the error's own fields."""

    code = "undo_conflict"
    message = "Some rows cannot go back as things are, so nothing was changed."

    def __init__(self, receipt: Receipt) -> None:
        super().__init__(hint="Look at the conflicts; with onConflict=skip those rows stay as they are.")
        self.receipt = receipt

    def body(self) -> dict[str, Any]:
        return {**super().body(), **self.receipt.body()}


class SessionPending(ConflictError):
    code = "session_pending"
    message = "A write of this session is still under way, so it is not known yet what to undo. Try again in a moment."


class UndoRunning(ConflictError):
    code = "undo_running"
    message = "Somebody is undoing this session right now."


class AlreadyUndone(ConflictError):
    code = "already_undone"
    message = "This session has been undone already."


class UndoRaced(ConflictError):
    code = "write_conflict"
    message = "Others were writing the same rows. Nothing was changed; try again."


class ProjectAway(Unavailable):
    code = "project_unavailable"
    message = "The project's database cannot be reached, so nothing was changed. Try again."


class UndoUnsettled(Unavailable):
    code = "undo_unsettled"
    message = (
        "The connection was lost while the undo was being completed. Look again in a moment to see whether it was."
    )


REFUSALS = (UndoConflict, SessionPending, UndoRunning, AlreadyUndone, UndoRaced, ProjectAway, UndoUnsettled)
