"""How the rows of a project are put back: in its database, or over its own API."""

from typing import ClassVar, Protocol

from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.receipt import Receipt
from basewarden.undo.target import ApplyOptions, UndoActor, UndoTarget


class UndoStrategy(Protocol):
    is_incremental: ClassVar[bool]
    """Whether it goes request by request, so that what is done stays done."""

    async def preview(self, target: UndoTarget) -> UndoPlan:
        """What would be done as things are; reads only."""

    async def execute(self, target: UndoTarget, actor: UndoActor, options: ApplyOptions) -> Receipt:
        """Raises UndoConflict or PreviewStale, with nothing changed, where it must refuse."""
