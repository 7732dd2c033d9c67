"""The proposals of a connection that wait for a decision, as the home, the palette and the sidebar show them."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from basewarden.approvals.proposal_view import ProposalLine, show_line
from basewarden.db import ReadSession
from basewarden.proposals import count_waiting, list_proposals
from basewarden.web import RoomCount, RoomCounts

WAITING_SHOWN = 3


@dataclass(frozen=True, slots=True)
class WaitingProposals:
    """`lines` are the newest of `count` proposals."""

    lines: tuple[ProposalLine, ...] = ()
    count: int = 0

    @property
    def version(self) -> str:
        """Changes when one arrives or is decided."""
        return f"{self.count}-{self.lines[0].id}" if self.lines else ""


NOTHING_WAITS: Final = WaitingProposals()


async def read_waiting(db: ReadSession, connection_id: UUID) -> WaitingProposals:
    count = await count_waiting(db, connection_id)
    if not count:
        return NOTHING_WAITS
    page = await list_proposals(db, connection_id, status="pending", limit=WAITING_SHOWN)
    return WaitingProposals(tuple(map(show_line, page.proposals)), count)


async def count_room(db: ReadSession, connection_id: UUID) -> RoomCounts:
    """Counts for the sidebar."""
    count = await count_waiting(db, connection_id)
    return {"/proposals": (RoomCount(count, "waiting for a decision", "urgent"),)} if count else {}
