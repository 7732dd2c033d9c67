"""Stops and releases at a member's request, each an event of the journal and of the member's audit log.

What is in the wanted state already stays as it is, and nothing is recorded.
"""

from typing import Literal
from uuid import UUID

from basewarden.audit import AccountEvent, Audit, EventKind
from basewarden.connections import Agent, AgentAction, AgentStates, Connection
from basewarden.core.ids import make_id
from basewarden.db import Database, Listener, WriteSession
from basewarden.journal.freezing import freeze_session, release_session
from basewarden.journal.interventions.queries import find_freeze_of_all, insert_intervention
from basewarden.journal.interventions.values import Intervener, name_intervener
from basewarden.journal.models import JournalSession
from basewarden.journal.notices import LIVE_TOPIC
from basewarden.web import FreezeNote

FreezeAction = Literal["freeze", "release"]
_OF_AGENT: dict[AgentAction, EventKind] = {
    "pause": EventKind.AGENT_PAUSED,
    "resume": EventKind.AGENT_RESUMED,
    "freeze": EventKind.AGENT_FROZEN,
    "release": EventKind.AGENT_RELEASED,
}
_OF_ALL: dict[FreezeAction, EventKind] = {
    "freeze": EventKind.ALL_AGENTS_FROZEN,
    "release": EventKind.ALL_AGENTS_RELEASED,
}
_OF_SESSION: dict[FreezeAction, EventKind] = {
    "freeze": EventKind.SESSION_FROZEN,
    "release": EventKind.SESSION_RELEASED,
}


class Interventions:
    def __init__(self, states: AgentStates, listener: Listener, audit: Audit) -> None:
        self._states = states
        self._listener = listener
        self._audit = audit

    async def apply_to_agent(
        self, db: WriteSession, by: Intervener, agent_id: UUID, action: AgentAction, reason: str | None
    ) -> Agent:
        """Raises NotFound for an agent that is not the connection's, or revoked."""
        agent, has_changed = await self._states.apply(db, by.member.connection.id, agent_id, action)
        if has_changed:
            await self._record(db, by, action, reason, agent_id=agent.id, agent_name=agent.name)
            await self._audit_event(db, by, _OF_AGENT[action], agent.name)
        return agent

    async def apply_to_all(
        self, db: WriteSession, by: Intervener, action: FreezeAction, reason: str | None
    ) -> Connection:
        """Freezes or releases all agents of the connection at once."""
        run = self._states.freeze_all if action == "freeze" else self._states.release_all
        connection, has_changed = await run(db, by.member.connection)
        if has_changed:
            await self._record(db, by, action, reason)
            await self._audit_event(db, by, _OF_ALL[action], connection.name)
        return connection

    async def apply_to_session(
        self, db: WriteSession, by: Intervener, session_id: str, action: FreezeAction, reason: str | None
    ) -> None:
        """Raises NotFound, or NotFreezable for the session of an undo."""
        connection_id = by.member.connection.id
        if action == "freeze":
            session = await freeze_session(db, self._listener, connection_id, session_id)
        else:
            session = await self._release_session(db, connection_id, session_id)
        if session is not None:
            await self._record(db, by, action, reason, session_id=session.id, **_name_agent(session))
            await self._audit_event(db, by, _OF_SESSION[action], session.label or session.caller_name)

    async def _release_session(self, db: WriteSession, connection_id: UUID, session_id: str) -> JournalSession | None:
        """Releases the session's agent from what it has read too; None where neither was to be released."""
        session, was_frozen = await release_session(db, connection_id, session_id)
        has_read = session.agent_id is not None and await self._states.forget_reads(db, connection_id, session.agent_id)
        return session if was_frozen or has_read else None

    async def _record(
        self, db: WriteSession, by: Intervener, action: AgentAction, reason: str | None, **target: object
    ) -> None:
        connection_id, person = by.member.connection.id, by.member.person
        values = {"user_id": person.id, "user_name": by.name, "action": action, "reason": reason}
        await insert_intervention(db, {"id": make_id(), "connection_id": connection_id, **values, **target})
        await self._listener.announce(db, LIVE_TOPIC, str(connection_id))

    async def _audit_event(self, db: WriteSession, by: Intervener, kind: EventKind, name: str) -> None:
        details: dict[str, str | UUID] = {"name": name, "connection": by.member.connection.id}
        await self._audit.record(db, AccountEvent(by.member.person.audit_id, kind, by.client_info, details))


def _name_agent(session: JournalSession) -> dict[str, object]:
    """Returns the agent of a session; none for a member's."""
    return {"agent_id": session.agent_id, "agent_name": session.caller_name} if session.agent_id else {}


async def find_freeze(database: Database, connection_id: UUID) -> FreezeNote:
    """Finds who froze all agents of a connection last; "A member" where that was too long ago to be kept."""
    async with database.read_only() as session:
        found = await find_freeze_of_all(session, connection_id)
    return FreezeNote(name_intervener(found), found.user_id, found.reason) if found else FreezeNote("A member")
