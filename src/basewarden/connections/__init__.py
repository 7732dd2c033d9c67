"""Connections to projects, their members and their agents: who may do what on which database."""

from basewarden.connections.addresses import pin_host
from basewarden.connections.agent_activity import (
    AgentActivity,
    AgentCounts,
    AgentHistory,
    AgentIntervention,
    AgentRefusal,
    AgentRefusalCount,
    AgentSession,
    AgentUndone,
)
from basewarden.connections.agent_checks import AgentChecks
from basewarden.connections.agent_edits import AgentEdits
from basewarden.connections.agent_pages import AgentActivityDep
from basewarden.connections.agent_states import AgentAction, AgentStates, find_shown_state
from basewarden.connections.agents import AgentCaller, Agents, count_agents, list_agents
from basewarden.connections.callers import Editor, Membership, Owner, Viewer, needs_second_factor
from basewarden.connections.deletion import QuarantineCounter, SessionCounter
from basewarden.connections.errors import ConnectionFailed, Reason, TablesUnchecked, TwoFactorRequired
from basewarden.connections.guard.findings import GuardedTable, GuardFindings, SensitiveValues
from basewarden.connections.guard.queries import list_reads
from basewarden.connections.guard.reads import AgentReads
from basewarden.connections.guard.service import GuardSettings
from basewarden.connections.guard.values import GuardOptions, ReadColumn
from basewarden.connections.health import check_health, make_failure, read_last_health
from basewarden.connections.kept_secrets import KeptSecretsDep, parse_keeping_form
from basewarden.connections.models import (
    Access,
    Agent,
    AgentHold,
    AgentState,
    ColumnMark,
    Connection,
    Environment,
    Role,
    TableMark,
    WriterMark,
)
from basewarden.connections.project_tables import ExampleTable, ProjectTables
from basewarden.connections.queries import (
    list_agent_holds,
    list_connections_by_id,
    list_named_connections,
    list_openable,
    list_openable_roles,
    list_owner_ids,
    list_person_roles,
)
from basewarden.connections.routes import AgentsDep, ConnectionsDep, parse_agent_id, show_agent, show_connection
from basewarden.connections.schemas import AgentOut, ConnectionOut, SchemaNames
from basewarden.connections.service import Connections
from basewarden.connections.setup import ConnectionSetup, dismiss_first_steps, find_setup
from basewarden.connections.snippets import make_snippets
from basewarden.connections.stop_words import StopDialog, find_agent_dialog, make_connection_dialog, make_session_dialog
from basewarden.connections.stops import STOP_TOPIC, Stop, StopCode, make_stop_error, make_stop_key, read_stop_code
from basewarden.connections.targets import CONNECTION_TOPIC, ConnectionTarget, ConnectionTargets

__all__ = [
    "CONNECTION_TOPIC",
    "STOP_TOPIC",
    "Access",
    "Agent",
    "AgentAction",
    "AgentActivity",
    "AgentActivityDep",
    "AgentCaller",
    "AgentChecks",
    "AgentCounts",
    "AgentEdits",
    "AgentHistory",
    "AgentHold",
    "AgentIntervention",
    "AgentOut",
    "AgentReads",
    "AgentRefusal",
    "AgentRefusalCount",
    "AgentSession",
    "AgentState",
    "AgentStates",
    "AgentUndone",
    "Agents",
    "AgentsDep",
    "ColumnMark",
    "Connection",
    "ConnectionFailed",
    "ConnectionOut",
    "ConnectionSetup",
    "ConnectionTarget",
    "ConnectionTargets",
    "Connections",
    "ConnectionsDep",
    "Editor",
    "Environment",
    "ExampleTable",
    "GuardFindings",
    "GuardOptions",
    "GuardSettings",
    "GuardedTable",
    "KeptSecretsDep",
    "Membership",
    "Owner",
    "ProjectTables",
    "QuarantineCounter",
    "ReadColumn",
    "Reason",
    "Role",
    "SchemaNames",
    "SensitiveValues",
    "SessionCounter",
    "Stop",
    "StopCode",
    "StopDialog",
    "TableMark",
    "TablesUnchecked",
    "TwoFactorRequired",
    "Viewer",
    "WriterMark",
    "check_health",
    "count_agents",
    "dismiss_first_steps",
    "find_agent_dialog",
    "find_setup",
    "find_shown_state",
    "list_agent_holds",
    "list_agents",
    "list_connections_by_id",
    "list_named_connections",
    "list_openable",
    "list_openable_roles",
    "list_owner_ids",
    "list_person_roles",
    "list_reads",
    "make_connection_dialog",
    "make_failure",
    "make_session_dialog",
    "make_snippets",
    "make_stop_error",
    "make_stop_key",
    "needs_second_factor",
    "parse_agent_id",
    "parse_keeping_form",
    "pin_host",
    "read_last_health",
    "read_stop_code",
    "show_agent",
    "show_connection",
]
