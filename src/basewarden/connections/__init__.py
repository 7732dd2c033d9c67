"""Saved projects, their members, their agents: who may do what on which database."""

from basewarden.connections.agents import AgentCaller, Agents, count_agents
from basewarden.connections.blocked import Blocked
from basewarden.connections.callers import Editor, Membership, Owner, Viewer, list_in_shell, member
from basewarden.connections.dialing import dial
from basewarden.connections.erasure import ConnectionErasure
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.export import CONNECTION_PARTS
from basewarden.connections.models import Access, Environment, Role
from basewarden.connections.queries import count_owned as count_owned_connections
from basewarden.connections.queries import is_member_anywhere, list_person_roles
from basewarden.connections.schemas import AgentCreate, ConnectionCreate
from basewarden.connections.service import Connections
from basewarden.connections.targets import ConnectionTarget, ConnectionTargets

__all__ = [
    "CONNECTION_PARTS",
    "Access",
    "AgentCaller",
    "AgentCreate",
    "Agents",
    "Blocked",
    "ConnectionCreate",
    "ConnectionErasure",
    "ConnectionFailed",
    "ConnectionTarget",
    "ConnectionTargets",
    "Connections",
    "Editor",
    "Environment",
    "Membership",
    "Owner",
    "Reason",
    "Role",
    "Viewer",
    "count_agents",
    "count_owned_connections",
    "dial",
    "is_member_anywhere",
    "list_in_shell",
    "list_person_roles",
    "member",
]
