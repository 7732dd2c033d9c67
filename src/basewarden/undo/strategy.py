"""How the rows of a project are put back: in its database, or over its own API."""

from typing import ClassVar, Protocol

from basewarden.undo.planning.plan import UndoPlan
from basewarden.undo.receipt import Receipt
from basewarden.undo.target import ApplyOptions, Past, Presser


class UndoStrategy(Protocol):
    by_steps: ClassVar[bool]
    """Whether it goes request by request, so that what is done stays done."""

    async def preview(self, past: Past) -> UndoPlan:
        """What would be done as things are; reads only."""

    async def carry_out(self, past: Past, presser: Presser, options: ApplyOptions) -> Receipt:
        """Raises UndoConflict or PreviewStale, with nothing changed, where it must refuse."""
