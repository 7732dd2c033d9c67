"""Saved projects, their members, their agents: who may do what on which database."""

from basewarden.connections.agents import AgentCaller, Agents
from basewarden.connections.callers import Editor, InShell, Membership, Owner, Viewer, member
from basewarden.connections.dialing import dial
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.models import Access, Environment, Role
from basewarden.connections.schemas import AgentCreate, ConnectionCreate
from basewarden.connections.service import Connections
from basewarden.connections.targets import ConnectionTarget, ConnectionTargets

__all__ = [
    "Access",
    "AgentCaller",
    "AgentCreate",
    "Agents",
    "ConnectionCreate",
    "ConnectionFailed",
    "ConnectionTarget",
    "ConnectionTargets",
    "Connections",
    "Editor",
    "Environment",
    "InShell",
    "Membership",
    "Owner",
    "Reason",
    "Role",
    "Viewer",
    "dial",
    "member",
]
