"""Connections to projects, their members and their agents: who may do what on which database."""

from basewarden.connections.agent_activity import (
    AgentActivity,
    AgentCounts,
    AgentHistory,
    AgentRefusal,
    AgentSession,
)
from basewarden.connections.agents import AgentCaller, Agents, count_agents, list_agents
from basewarden.connections.callers import Editor, Membership, Owner, Viewer, list_sidebar_connections, member
from basewarden.connections.db_connections import open_db_connection
from basewarden.connections.erasure import ConnectionErasure
from basewarden.connections.errors import ConnectionFailed, Reason, TablesUnchecked
from basewarden.connections.export import CONNECTION_PARTS
from basewarden.connections.models import Access, Environment, Role
from basewarden.connections.project_tables import ExampleTable, ProjectTables
from basewarden.connections.queries import count_owned as count_owned_connections
from basewarden.connections.queries import is_member_anywhere, list_member_ids, list_person_roles
from basewarden.connections.refusal_counts import RefusalCounts
from basewarden.connections.schemas import AgentCreate, ConnectionCreate
from basewarden.connections.service import Connections
from basewarden.connections.targets import CONNECTION_TOPIC, ConnectionTarget, ConnectionTargets

__all__ = [
    "CONNECTION_PARTS",
    "CONNECTION_TOPIC",
    "Access",
    "AgentActivity",
    "AgentCaller",
    "AgentCounts",
    "AgentCreate",
    "AgentHistory",
    "AgentRefusal",
    "AgentSession",
    "Agents",
    "ConnectionCreate",
    "ConnectionErasure",
    "ConnectionFailed",
    "ConnectionTarget",
    "ConnectionTargets",
    "Connections",
    "Editor",
    "Environment",
    "ExampleTable",
    "Membership",
    "Owner",
    "ProjectTables",
    "Reason",
    "RefusalCounts",
    "Role",
    "TablesUnchecked",
    "Viewer",
    "count_agents",
    "count_owned_connections",
    "is_member_anywhere",
    "list_agents",
    "list_member_ids",
    "list_person_roles",
    "list_sidebar_connections",
    "member",
    "open_db_connection",
]
