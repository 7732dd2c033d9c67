"""The health of a connection as pages show it: the last known facts, or those of a check that runs now."""

from dataclasses import dataclass, replace
from datetime import datetime

from basewarden.connections.callers import Membership
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.models import Connection
from basewarden.connections.probe import ServerFacts
from basewarden.connections.rest.probe import RestFacts
from basewarden.connections.service import Connections
from basewarden.connections.warnings import RoleWarning, list_rest_warnings, list_warnings


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """`checked_at` None = checked just now. With a `failure`, the facts are those of the last successful check."""

    facts: ServerFacts | RestFacts
    warnings: tuple[RoleWarning, ...]
    checked_at: datetime | None = None
    failure: ConnectionFailed | None = None

    @property
    def is_direct(self) -> bool:
        return isinstance(self.facts, ServerFacts)


async def check_health(member: Membership, connections: Connections) -> ConnectionHealth:
    """Probes the connection now; a failure is part of the result, and is remembered for the list of connections."""
    try:
        facts = await connections.check(member.connection, member.person.id)
    except ConnectionFailed as error:
        await connections.note_check(member.connection, error)
        return replace(read_last_health(member.connection), checked_at=None, failure=error)
    await connections.note_check(member.connection, None)
    return _show_facts(facts, member.connection)


def read_last_health(connection: Connection) -> ConnectionHealth:
    health = _show_facts(read_facts(connection), connection)
    if connection.failing_reason is None:
        return replace(health, checked_at=connection.probed_at)
    return replace(health, checked_at=connection.failing_since, failure=make_failure(connection))


def make_failure(connection: Connection) -> ConnectionFailed | None:
    """Makes the error of the last check, if it failed."""
    if connection.failing_reason is None:
        return None
    return ConnectionFailed(Reason(connection.failing_reason), field="postgresUrl" if connection.is_direct else "url")


def read_facts(connection: Connection) -> ServerFacts | RestFacts:
    if connection.facts is not None:
        return ServerFacts.from_json(connection.facts)
    assert connection.rest_facts is not None
    return RestFacts.from_json(connection.rest_facts)


def list_roles(member: Membership) -> list[tuple[str, str]]:
    """Lists the roles that the last probe found usable, as the options of a field."""
    facts = read_facts(member.connection)
    if isinstance(facts, RestFacts):
        return []
    return [(role.name, role.name) for role in facts.roles if not role.is_superuser]


def _show_facts(facts: ServerFacts | RestFacts, connection: Connection) -> ConnectionHealth:
    if isinstance(facts, RestFacts):
        return ConnectionHealth(facts, tuple(list_rest_warnings(facts)))
    return ConnectionHealth(facts, tuple(list_warnings(facts, connection.assumed_role)))
