"""How far the setting up of a connection has come, for the first steps on its home."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.connections import queries
from basewarden.db import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class ConnectionSetup:
    """Revoked agents count too: what has happened stays done."""

    has_agent: bool
    has_request: bool
    is_dismissed: bool


async def find_setup(session: ReadSession, connection_id: UUID, person_id: UUID) -> ConnectionSetup:
    row = await queries.get_setup(session, connection_id, person_id)
    return ConnectionSetup(row.has_agent, row.has_request, row.is_dismissed)


async def dismiss_first_steps(session: WriteSession, connection_id: UUID, person_id: UUID) -> None:
    """Hides the first steps of this connection from this person."""
    await queries.dismiss_steps(session, connection_id, person_id)
