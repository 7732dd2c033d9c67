"""The session to undo, the person who undoes it, and the options."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.undo.planning.choices import NO_CHOICES, Choices
from basewarden.undo.planning.fold import Folded
from basewarden.undo.receipt import OnConflict


@dataclass(frozen=True, slots=True)
class UndoActor:
    """The person who undoes a session."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class UndoTarget:
    """The changes to undo, read up to `position` of the session; `writes` is the number of its writes.

    `pending_writes` are not included; only a preview may have any. `writes_undone` are those of the session that
    are to be undone, none = all; then `other_changes` counts what the session's other writes changed, and `other_rows`
    the rows of that which an undo can revert. What `earlier_undos` of the session reverted is left out.
    """

    connection_id: UUID
    session_id: UUID
    title: str
    position: int
    folded: Folded
    writes: int = 0
    pending_writes: int = 0
    writes_undone: tuple[UUID, ...] = ()
    other_changes: int = 0
    other_rows: int = 0
    earlier_undos: tuple[UUID, ...] = ()

    @property
    def not_covered(self) -> int:
        """How much of the session remains even where every row is reverted."""
        return len(self.folded.irreversible) + self.other_changes


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """`preview_token`: the undo is refused unless it does what that preview showed, and what `choices` add to it."""

    on_conflict: OnConflict = "refuse"
    preview_token: str | None = None
    choices: Choices = NO_CHOICES
