"""The first steps of a connection, each of which is done when what it asks for has happened."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.connections import ConnectionSetup, Membership, Role, find_setup
from basewarden.db import ReadSession
from basewarden.journal import Progress, find_progress


@dataclass(frozen=True, slots=True)
class FirstSteps:
    setup: ConnectionSetup
    progress: Progress

    @property
    def is_waiting(self) -> bool:
        """True while an agent exists and has not sent its first request, or not written yet."""
        return self.setup.has_agent and not self.has_session

    @property
    def has_session(self) -> bool:
        return self.progress.agent_session_id is not None

    @property
    def session_id(self) -> UUID | None:
        return self.progress.agent_session_id

    @property
    def is_complete(self) -> bool:
        return self.setup.has_agent and self.setup.has_request and self.has_session and self.progress.has_undo

    @property
    def state(self) -> str:
        """What is done, as text that changes with each step."""
        done = (self.setup.has_agent, self.setup.has_request, self.has_session, self.progress.has_undo)
        return "".join("1" if step else "0" for step in done)


async def find_first_steps(db: ReadSession, member: Membership) -> FirstSteps | None:
    """Finds the steps of an owner, who alone can take them all; None when they were dismissed."""
    if not member.role.includes(Role.OWNER):
        return None
    setup = await find_setup(db, member.connection.id, member.person.id)
    if setup.is_dismissed:
        return None
    progress = await find_progress(db, member.connection.id) if setup.has_request else Progress()
    return FirstSteps(setup, progress)
