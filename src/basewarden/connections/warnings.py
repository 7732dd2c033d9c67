"""What a person should know about a login before agents work through it, in words."""

from collections.abc import Iterator
from dataclasses import dataclass

from basewarden.connections.probe import ServerFacts
from basewarden.connections.rest.probe import RestFacts


@dataclass(frozen=True, slots=True)
class RoleWarning:
    title: str
    text: str
    sql: str | None = None
    """What mends it, to be run as it is."""


LOGIN_SQL = """\
CREATE ROLE basewarden LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE BYPASSRLS PASSWORD 'choose-a-long-one';
GRANT USAGE ON SCHEMA public TO basewarden;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO basewarden;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO basewarden;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO basewarden;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO basewarden;"""
"""A login for the schema that requests reach. It sees every row, as the journal must."""


def list_rest_warnings(facts: RestFacts) -> Iterator[RoleWarning]:
    if facts.role == "service_role":
        yield RoleWarning(
            "Requests run as service_role, which bypasses row level security",
            "Policies do not limit requests; only the limits of each agent do."
            " Give agents the tables that they need, and no more.",
        )
    if not facts.uses_tls:
        yield RoleWarning(
            "The connection is not encrypted",
            "Fine on one machine or a private network; elsewhere use https://.",
        )
    if not facts.tells_schema:
        yield RoleWarning(
            "The project does not tell its tables to this key",
            "Requests still work, but an agent with a list of tables can ask for those alone, without related rows,"
            " and the data pages have nothing to show. A secret key or a Postgres address tells them.",
        )
    elif not facts.tables:
        yield RoleWarning(
            f"{facts.role} reaches no table",
            "Tables that are new since 2026 need a GRANT before the API shows them.",
        )


def list_warnings(facts: ServerFacts, db_role: str | None) -> Iterator[RoleWarning]:
    """About the login, and about the role that requests take on: the one that is set, else the login's own."""
    if facts.is_superuser:
        yield RoleWarning(
            f"Basewarden signs in as the superuser {facts.login_role}",
            "Anyone who may create a function or a trigger in this database can have it run with a superuser's rights."
            " Create a role of its own, as a superuser, and save its address in the settings.",
            LOGIN_SQL,
        )
    role = facts.find_role(db_role or facts.login_role)
    if role is None:
        yield RoleWarning(
            f"The role {db_role} is gone",
            f"The login {facts.login_role} may no longer take it on: requests fail. Choose another role.",
        )
    elif role.is_superuser:
        yield RoleWarning(
            f"Requests run as the superuser {role.name}",
            "Nothing in the database holds a superuser back, row level security included."
            " Set a lesser database role in the settings.",
        )
    elif role.bypasses_rls:
        yield RoleWarning(
            f"{role.name} bypasses row level security",
            "Its policies do not limit requests; only the limits of each agent do.",
        )
    if facts.is_pooled:
        yield RoleWarning(
            "A transaction pooler stands in between",
            "Everything works; statements are planned anew each time, and a change of tables is noticed within a second"
            " instead of at once. The direct address or the session pooler is faster.",
        )
    if not facts.uses_tls:
        yield RoleWarning(
            "The connection is not encrypted",
            "Fine on one machine or a private network; elsewhere add sslmode=require to the address.",
        )
    if facts.is_read_only:
        yield RoleWarning("The server is read-only", "Reads work; every write will fail. Is this a replica?")
    elif facts.tables and not facts.writable_tables:
        yield RoleWarning(
            f"{facts.login_role} may not write to any table",
            "Agents can only read. Grant the login INSERT, UPDATE or DELETE where they should change rows.",
        )
