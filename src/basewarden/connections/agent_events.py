"""What members do with agents, as events of their audit log."""

from basewarden.audit import AccountEvent, ClientInfo, EventKind
from basewarden.connections.callers import Membership
from basewarden.connections.models import Agent


def make_agent_event(
    member: Membership, kind: EventKind, agent: Agent, client_info: ClientInfo, **more: str
) -> AccountEvent:
    """Its name at that time, and no value of what it may do."""
    details = {"name": agent.name, "agent": str(agent.id), "connection": str(member.connection.id), **more}
    return AccountEvent(member.person.audit_id, kind, client_info, details)
