"""The part of connections in a person's data export: their memberships, invitations, owned connections and agents."""

from basewarden.accounts import ExportPart, ExportRows, Person
from basewarden.connections import queries
from basewarden.connections.invitations.queries import stream_invitations
from basewarden.db import ReadSession

_SEALED = "the connection string with its password, encrypted"
_SEALED_KEY = "the project's key, encrypted"
_HASH = "a hash of the token, which is not exported"
_LINK_HASH = "a hash of the link, which is not exported"
_CREATOR = "may be another person"

_CONNECTION = (
    "id",
    "name",
    "environment",
    "url",
    "db_role",
    "schemas",
    "requires_two_factor",
    "approval_by_another",
    "facts",
    "rest_facts",
    "probed_at",
    "failing_since",
    "failing_reason",
    "changed_at",
    "agents_frozen_at",
    "guard",
    "guard_columns",
    "guard_tables",
    "guard_strangers",
    "guard_writers",
    "created_at",
)
_INVITATION = ("id", "connection_id", "email", "role", "created_at", "expires_at", "accepted_at")
_MEMBERSHIP = ("connection_id", "role", "created_at", "steps_dismissed_at")
_AGENT = (
    "id",
    "connection_id",
    "name",
    "access",
    "tables",
    "read_tables",
    "functions",
    "columns",
    "db_role",
    "claims",
    "max_rows_per_write",
    "max_writes_per_session",
    "max_rows_per_session",
    "max_rows_per_hour",
    "max_read_rows_per_hour",
    "requests_per_minute",
    "expires_at",
    "paused_at",
    "frozen_at",
    "revoked_at",
    "last_used_at",
    "created_at",
)
_READ = ("agent_id", "table_name", "column_name", "read_at")


def _list_memberships(session: ReadSession, person: Person) -> ExportRows:
    return queries.stream_memberships(session, person.id)


def _list_connections(session: ReadSession, person: Person) -> ExportRows:
    return queries.stream_owned_connections(session, _CONNECTION, person.id)


def _list_agents(session: ReadSession, person: Person) -> ExportRows:
    return queries.stream_agents_of_person(session, _AGENT, person.id)


def _list_agent_reads(session: ReadSession, person: Person) -> ExportRows:
    return queries.stream_reads_of_agents(session, _READ, person.id)


def _list_invitations(session: ReadSession, person: Person) -> ExportRows:
    return stream_invitations(session, _INVITATION, person.id)


CONNECTION_PARTS = (
    ExportPart(
        "memberships",
        "connection_members",
        _list_memberships,
        _MEMBERSHIP,
        {"user_id": "always you"},
        joined=("connection_name",),
    ),
    ExportPart(
        "invitations",
        "connection_invitations",
        _list_invitations,
        _INVITATION,
        {
            "email_key": "the address once more, as it is compared",
            "token_hash": _LINK_HASH,
            "invited_by": _CREATOR,
            "accepted_by": _CREATOR,
        },
    ),
    ExportPart(
        "connections",
        "connections",
        _list_connections,
        _CONNECTION,
        {"sealed_postgres_url": _SEALED, "sealed_key": _SEALED_KEY, "created_by": _CREATOR},
    ),
    ExportPart(
        "agents",
        "agents",
        _list_agents,
        _AGENT,
        {"token_hash": _HASH, "token_hint": "the end of the token", "created_by": _CREATOR},
    ),
    ExportPart("agentReads", "agent_reads", _list_agent_reads, _READ, {}),
)
