"""Warnings about a connection's role, shown before agents work through it."""

from collections.abc import Iterator
from dataclasses import dataclass

from basewarden.connections.probe import ServerFacts
from basewarden.connections.rest.probe import RestFacts


@dataclass(frozen=True, slots=True)
class RoleWarning:
    title: str
    text: str
    sql: str | None = None
    """SQL that fixes the problem, ready to run."""


LOGIN_SQL = """\
CREATE ROLE basewarden LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS PASSWORD 'choose-a-long-one';
GRANT USAGE ON SCHEMA public TO basewarden;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO basewarden;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO basewarden;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO basewarden;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO basewarden;"""
"""A login for the exposed schema. It sees every row, which the journal requires."""


def list_rest_warnings(facts: RestFacts) -> Iterator[RoleWarning]:
    if facts.role == "service_role":
        yield RoleWarning(
            "Requests run as service_role, which bypasses row level security",
            "Policies do not limit requests; only each agent's limits do."
            " Give each agent only the tables that it needs.",
        )
    if not facts.uses_tls and not facts.is_local:
        yield RoleWarning(
            "The connection is not encrypted",
            "This is fine on a private network. Use https:// everywhere else.",
        )
    if not facts.tells_schema:
        yield RoleWarning(
            "This key may not list the project's tables",
            "Requests work, but the data pages are empty and an agent with a table list cannot request related rows."
            " Use a secret key, or add a Postgres connection string.",
        )
    elif not facts.tables:
        yield RoleWarning(
            f"{facts.role} has access to no table",
            "Tables created since 2026 need a GRANT before the API shows them.",
        )


def list_warnings(facts: ServerFacts, db_role: str | None) -> Iterator[RoleWarning]:
    """Lists warnings about the login role and about the role that requests run as."""
    if facts.is_superuser:
        yield RoleWarning(
            f"Basewarden signs in as the superuser {facts.login_role}",
            "Anyone who may create a function or a trigger in this database can run it with a superuser's rights."
            " Create a separate role as a superuser, and save its connection string in the settings.",
            LOGIN_SQL,
        )
    role = facts.find_role(db_role or facts.login_role)
    if role is None:
        yield RoleWarning(
            f"The role {db_role} cannot be used",
            f"The login {facts.login_role} may no longer switch to it, so requests fail. Choose another role.",
        )
    elif role.is_superuser:
        yield RoleWarning(
            f"Requests run as the superuser {role.name}",
            "A superuser bypasses every permission check and row level security."
            " Choose another database role in the settings.",
        )
    elif role.bypasses_rls:
        yield RoleWarning(
            f"{role.name} bypasses row level security",
            "Policies do not limit requests; only each agent's limits do.",
        )
    if facts.is_pooled:
        yield RoleWarning(
            "The connection uses a transaction pooler",
            "Everything works, but each statement is planned again, and schema changes are noticed within a second"
            " instead of at once. The direct connection or the session pooler is faster.",
        )
    if not facts.uses_tls and not facts.is_local:
        yield RoleWarning(
            "The connection is not encrypted",
            "This is fine on a private network. Add sslmode=require to the URL everywhere else.",
        )
    if facts.is_read_only:
        yield RoleWarning("The server is read-only", "Reads work; every write will fail. Is this a replica?")
    elif facts.tables and not facts.writable_tables:
        yield RoleWarning(
            f"{facts.login_role} may not write to any table",
            "Agents can only read. Grant INSERT, UPDATE or DELETE on the tables that they should change.",
        )
