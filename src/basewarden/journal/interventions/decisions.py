"""Records what a person decided about a write of an agent."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from basewarden.core.ids import make_id
from basewarden.db import WriteSession, notify
from basewarden.journal.interventions.queries import insert_intervention
from basewarden.journal.notices import LIVE_TOPIC


@dataclass(frozen=True, slots=True)
class WriteDecision:
    """`session_id` is the session that an approved write belongs to."""

    action: Literal["approve", "decline"]
    agent_id: UUID
    agent_name: str
    user_id: UUID | None
    user_name: str | None
    reason: str | None
    session_id: UUID | None = None


async def record_decision(session: WriteSession, connection_id: UUID, decision: WriteDecision) -> None:
    """In the transaction that stores the decision, and announced to open streams."""
    values = {name: getattr(decision, name) for name in WriteDecision.__slots__}
    await insert_intervention(session, {"id": make_id(), "connection_id": connection_id, **values})
    await notify(session, LIVE_TOPIC, str(connection_id))
