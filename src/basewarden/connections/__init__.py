"""Connections to projects, their members and their agents: who may do what on which database."""

from basewarden.connections.addresses import pin_host
from basewarden.connections.agent_activity import (
    AgentActivity,
    AgentCounts,
    AgentHistory,
    AgentRefusal,
    AgentSession,
    AgentUndone,
)
from basewarden.connections.agent_pages import AgentActivityDep
from basewarden.connections.agents import AgentCaller, Agents, count_agents, list_agents
from basewarden.connections.callers import Editor, Membership, Viewer, needs_second_factor
from basewarden.connections.deletion import SessionCounter
from basewarden.connections.errors import ConnectionFailed, Reason, TablesUnchecked, TwoFactorRequired
from basewarden.connections.health import check_health, make_failure, read_last_health
from basewarden.connections.models import Access, Agent, Connection, Environment, Role
from basewarden.connections.project_tables import ExampleTable, ProjectTables
from basewarden.connections.queries import (
    list_connections_by_id,
    list_named_connections,
    list_openable,
    list_openable_roles,
    list_owner_ids,
    list_person_roles,
    list_row_limits,
)
from basewarden.connections.routes import ConnectionsDep
from basewarden.connections.service import Connections
from basewarden.connections.setup import ConnectionSetup, dismiss_first_steps, find_setup
from basewarden.connections.snippets import make_snippets
from basewarden.connections.targets import CONNECTION_TOPIC, ConnectionTarget, ConnectionTargets

__all__ = [
    "CONNECTION_TOPIC",
    "Access",
    "Agent",
    "AgentActivity",
    "AgentActivityDep",
    "AgentCaller",
    "AgentCounts",
    "AgentHistory",
    "AgentRefusal",
    "AgentSession",
    "AgentUndone",
    "Agents",
    "Connection",
    "ConnectionFailed",
    "ConnectionSetup",
    "ConnectionTarget",
    "ConnectionTargets",
    "Connections",
    "ConnectionsDep",
    "Editor",
    "Environment",
    "ExampleTable",
    "Membership",
    "ProjectTables",
    "Reason",
    "Role",
    "SessionCounter",
    "TablesUnchecked",
    "TwoFactorRequired",
    "Viewer",
    "check_health",
    "count_agents",
    "dismiss_first_steps",
    "find_setup",
    "list_agents",
    "list_connections_by_id",
    "list_named_connections",
    "list_openable",
    "list_openable_roles",
    "list_owner_ids",
    "list_person_roles",
    "list_row_limits",
    "make_failure",
    "make_snippets",
    "needs_second_factor",
    "pin_host",
    "read_last_health",
]
