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
from basewarden.connections.health import ConnectionHealth, check_health, make_failure, read_last_health
from basewarden.connections.models import Access, Connection, Environment, Role
from basewarden.connections.project_tables import ExampleTable, ProjectTables
from basewarden.connections.queries import count_owned as count_owned_connections
from basewarden.connections.queries import (
    is_member_anywhere,
    list_connections_by_id,
    list_member_ids,
    list_named_connections,
    list_person_roles,
)
from basewarden.connections.routes import ConnectionsDep
from basewarden.connections.schemas import AgentCreate, ConnectionCreate
from basewarden.connections.service import Connections
from basewarden.connections.setup import ConnectionSetup, dismiss_first_steps, find_setup
from basewarden.connections.snippets import make_snippets
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
    "Connection",
    "ConnectionCreate",
    "ConnectionErasure",
    "ConnectionFailed",
    "ConnectionHealth",
    "ConnectionSetup",
    "ConnectionTarget",
    "ConnectionTargets",
    "Connections",
    "ConnectionsDep",
    "Editor",
    "Environment",
    "ExampleTable",
    "Membership",
    "Owner",
    "ProjectTables",
    "Reason",
    "Role",
    "TablesUnchecked",
    "Viewer",
    "check_health",
    "count_agents",
    "count_owned_connections",
    "dismiss_first_steps",
    "find_setup",
    "is_member_anywhere",
    "list_agents",
    "list_connections_by_id",
    "list_member_ids",
    "list_named_connections",
    "list_person_roles",
    "list_sidebar_connections",
    "make_failure",
    "make_snippets",
    "member",
    "open_db_connection",
    "read_last_health",
]
