"""The interface of the two strategies: in one transaction on the database, or over the project's REST API."""

from typing import ClassVar, Protocol

from basewarden.undo.planning.choices import NO_CHOICES, Choices
from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.receipt import Receipt
from basewarden.undo.row_samples import SampleWindow
from basewarden.undo.target import ApplyOptions, UndoActor, UndoTarget


class UndoStrategy(Protocol):
    is_incremental: ClassVar[bool]
    """Whether it sends one request after another, so that a failure does not roll back the earlier ones."""

    async def preview(
        self, target: UndoTarget, window: SampleWindow | None = None, choices: Choices = NO_CHOICES
    ) -> UndoPlan:
        """Returns what would be done now; reads only. It names the first rows of each table, or those of the window."""

    async def execute(self, target: UndoTarget, actor: UndoActor, options: ApplyOptions) -> Receipt:
        """Raises UndoConflict or PreviewStale, with nothing changed, where the undo is refused."""
