"""What is pressed: the session as the journal has it, and by whom."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.undo.fold import Folded


@dataclass(frozen=True, slots=True)
class Presser:
    """The person who presses."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Past:
    """What is to be undone, and up to which position of its session it was read."""

    connection_id: UUID
    session_id: UUID
    title: str
    position: int
    folded: Folded
