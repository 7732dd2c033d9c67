"""What is pressed: the session as the journal has it, by whom, and how."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.undo.planning.fold import Folded
from basewarden.undo.receipt import OnConflict


@dataclass(frozen=True, slots=True)
class UndoActor:
    """The person who presses."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class UndoTarget:
    """What is to be undone, up to which position of its session it was read, and how many writes that were.

    `pending_writes` are still under way and not in it; only a preview has any.
    """

    connection_id: UUID
    session_id: UUID
    title: str
    position: int
    folded: Folded
    writes: int = 0
    pending_writes: int = 0


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """`preview_token`: only what was previewed is done, where a preview is named."""

    on_conflict: OnConflict = "refuse"
    preview_token: str | None = None
