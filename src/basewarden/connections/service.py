"""Creates, changes and deletes connections. An address or key is saved only after a successful probe."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Row, func

from basewarden.accounts import Attempt, Attempts, Limit, Person
from basewarden.audit import AccountEvent, Audit, ClientInfo, EventKind
from basewarden.billing import Plans
from basewarden.connections import queries
from basewarden.connections.errors import ConnectionFailed
from basewarden.connections.models import Connection, ConnectionMember, Role
from basewarden.connections.probe import ServerFacts, probe
from basewarden.connections.rest.keys import KeyRefused, ProjectKey, parse_key
from basewarden.connections.rest.probe import RestFacts, probe_project, probe_rest
from basewarden.connections.rest.urls import RestAddress, parse_project_url
from basewarden.connections.schemas import ConnectionChange, ConnectionCreate
from basewarden.connections.targets import ConnectionTargets, make_key_context, make_url_context
from basewarden.connections.urls import URLError, parse_postgres_url
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.db import Database, ReadSession, WriteSession
from basewarden.errors import Invalid, NotFound
from basewarden.settings import Settings
from basewarden.vault import Vault, VaultError

PROBES = Limit(20, 60)  # of new addresses
CHECKS = Limit(120, 60)  # of saved addresses: each view of a connection's page is one
Values = dict[str, Any]
_HEALTHY: Values = {"failing_since": None, "failing_reason": None}
_PARTS = {
    "name": "general",
    "environment": "general",
    "sealed_postgres_url": "postgres",
    "sealed_key": "project",
    "db_role": "role",
    "schemas": "schemas",
}
"""The part of the settings that a changed column belongs to."""


class Connections:
    def __init__(
        self,
        *,
        database: Database,
        targets: ConnectionTargets,
        vault: Vault,
        attempts: Attempts,
        settings: Settings,
        plans: Plans,
        audit: Audit,
    ) -> None:
        self._database = database
        self._targets = targets
        self._vault = vault
        self._attempts = attempts
        self._allow_private = settings.allow_private_addresses
        self._plans = plans
        self._audit = audit

    async def create(
        self, session: WriteSession, wanted: ConnectionCreate, person: Person, client_info: ClientInfo
    ) -> Connection:
        """Creates a connection after a probe.

        The plan's limit is checked before the probe, and again under a lock when the connection is stored, because two
        requests may run at once. The unit of work is first used after the probe: a host that hangs must not occupy a
        connection to our own database.
        """
        await self._check_room(person.id)
        _check_complete(wanted)
        await self._attempts.acquire(Attempt("connections.probe", str(person.id), PROBES))
        connection = Connection(
            id=make_id(),
            name=wanted.name,
            environment=wanted.environment,
            db_role=wanted.db_role,
            created_by=person.id,
        )
        if wanted.postgres_url is not None:
            _set_values(connection, await self._probe_postgres(connection.id, wanted.postgres_url))
        if wanted.url is not None and wanted.key is not None:
            _set_values(connection, await self._probe_project(connection.id, wanted.url, _reveal(wanted.key)))
        check_role(connection)
        await self._plans.take_room(session, person.id, partial(queries.count_owned, session, person.id))
        member = ConnectionMember(connection_id=connection.id, user_id=person.id, role=Role.OWNER)
        await queries.insert_connection(session, connection, member)
        await self._record(session, EventKind.CONNECTION_CREATED, connection, person, client_info)
        return connection

    async def change(
        self, session: WriteSession, connection: Connection, wanted: ConnectionChange, person_id: UUID
    ) -> Connection:
        values: Values = {
            name: getattr(wanted, name) for name in ("name", "environment", "db_role") if wanted.has(name)
        }
        if wanted.has("schemas"):
            values["schemas"] = list(dict.fromkeys(wanted.schemas or ())) or None
        if any(wanted.has(name) for name in ("url", "key", "postgres_url")) or wanted.db_role is not None:
            values |= await self._probe_change(connection, wanted, person_id)
        if not values:
            return connection
        values["changed_at"] = connection.changed_at | dict.fromkeys(_list_parts(values), datetime.now(UTC).isoformat())
        if "facts" in values or "rest_facts" in values:
            values |= _HEALTHY
        await self._targets.announce_change(session, connection.id)
        changed = await queries.update_connection(session, connection.id, values)
        if changed is None:
            raise NotFound
        return changed

    async def delete(
        self, session: WriteSession, connection: Connection, person: Person, client_info: ClientInfo
    ) -> None:
        await self._targets.announce_change(session, connection.id)
        if await queries.delete_connection(session, connection.id):
            await self._record(session, EventKind.CONNECTION_DELETED, connection, person, client_info)

    def describe_address(self, connection: Connection) -> str | None:
        """Returns user, host, port and database of the saved connection string, never its password."""
        try:
            address = self._targets.unseal_url(connection)
        except (VaultError, URLError):
            return None
        if address is None:
            return None
        host = f"[{address.host}]" if ":" in address.host else address.host
        return f"postgresql://{address.user}@{host}:{address.port}/{address.database}"

    async def note_check(self, connection: Connection, failure: ConnectionFailed | None) -> None:
        """Remembers the result of a check, in a unit of work of its own; writes only what has changed."""
        reason = failure.reason.value if failure is not None else None
        if reason == connection.failing_reason:
            return
        since = connection.failing_since or func.now()
        values = {"failing_since": since, "failing_reason": reason} if reason else _HEALTHY
        async with self._database.write_now() as session:
            await queries.update_connection(session, connection.id, values)

    async def check(self, connection: Connection, person_id: UUID) -> ServerFacts | RestFacts:
        """Probes the backend in use and returns its current facts, or raises ConnectionFailed."""
        await self._attempts.acquire(Attempt("connections.check", str(person_id), CHECKS))
        address = self._targets.unseal_url(connection)
        if address is not None:
            return await probe(address, allow_private=self._allow_private)
        api = self._targets.unseal_api(connection)
        assert api is not None
        return await probe_rest(api.address, api.key, allow_private=self._allow_private)

    async def _record(
        self, session: WriteSession, kind: EventKind, connection: Connection, person: Person, client_info: ClientInfo
    ) -> None:
        details = {"name": connection.name, "connection": str(connection.id)}
        await self._audit.record(session, AccountEvent(person.audit_id, kind, client_info, details))

    async def _check_room(self, person_id: UUID) -> None:
        async with self._database.read_only() as reading:
            await self._plans.check_room(reading, person_id, partial(queries.count_owned, reading, person_id))

    async def _probe_change(self, connection: Connection, wanted: ConnectionChange, person_id: UUID) -> Values:
        """Probes new addresses and keys, and checks that role, address and key fit together."""
        values: Values = {}
        has_new_address = any(getattr(wanted, name) is not None for name in ("url", "key", "postgres_url"))
        if has_new_address:
            await self._attempts.acquire(Attempt("connections.probe", str(person_id), PROBES))
        if wanted.has("postgres_url"):
            values |= await self._change_postgres(connection, wanted)
        if wanted.has("url") or wanted.has("key"):
            values |= await self._change_project(connection, wanted)
        changed = _make_changed(connection, {**values, **_select_value(wanted, "db_role")})
        if changed.sealed_postgres_url is None and changed.sealed_key is None:
            raise Invalid.field(
                "postgresUrl", "A connection needs a Postgres connection string, or a project's URL and key."
            )
        if changed.is_direct and not wanted.postgres_url and changed.assumed_role is not None:
            facts = await self.check(connection, person_id)
            changed.facts = facts.as_json()
            values |= {"facts": changed.facts, "probed_at": func.now()}
        check_role(changed)
        return values

    async def _change_postgres(self, connection: Connection, wanted: ConnectionChange) -> Values:
        if wanted.postgres_url is None:
            return {"sealed_postgres_url": None, "facts": None}
        return {**await self._probe_postgres(connection.id, wanted.postgres_url), "probed_at": func.now()}

    async def _change_project(self, connection: Connection, wanted: ConnectionChange) -> Values:
        """Changes URL and key. A saved key is never sent to a new URL, which could be an attacker's."""
        if wanted.url is None and wanted.key is None:
            return {"url": None, "sealed_key": None, "rest_facts": None}
        if (wanted.has("url") and wanted.url is None) or (wanted.has("key") and wanted.key is None):
            raise Invalid.field("key" if wanted.key is None else "url", "A project needs both a URL and a key.")
        url = wanted.url or connection.url
        if url is None:
            raise Invalid.field("url", "A key needs its project's URL.")
        if wanted.key is None:
            raise Invalid.field("key", "Paste the key again: a saved key is only sent to the URL it was saved with.")
        return {**await self._probe_project(connection.id, url, _reveal(wanted.key)), "probed_at": func.now()}

    async def _probe_postgres(self, connection_id: UUID, typed: SecretStr) -> Values:
        url = _reveal(typed)
        try:
            address = parse_postgres_url(url)
        except URLError as error:
            raise Invalid.field("postgresUrl", str(error)) from None
        facts = await probe(address, allow_private=self._allow_private)
        sealed = self._vault.seal(url, make_url_context(connection_id))
        return {"sealed_postgres_url": sealed, "facts": facts.as_json()}

    async def _probe_project(self, connection_id: UUID, url: str, typed: Secret) -> Values:
        address, key = _parse_project(url, typed)
        found, facts = await probe_project(address, key, allow_private=self._allow_private)
        sealed = self._vault.seal(key.value, make_key_context(connection_id))
        return {"url": str(found), "sealed_key": sealed, "rest_facts": facts.as_json()}


async def list_connections(
    session: ReadSession, person_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[Row[Connection, str]]:
    return await queries.list_connections(session, person_id, before=before, limit=limit)


async def find_membership(session: ReadSession, connection_id: UUID, person_id: UUID) -> tuple[Connection, Role] | None:
    row = await queries.find_membership(session, connection_id, person_id)
    return (row[0], Role(row[1])) if row else None


def check_role(connection: Connection) -> None:
    """Checks that requests can run as the connection's role, which is the one that is set or the key's."""
    if not connection.is_direct:
        if connection.db_role is not None:
            raise Invalid.field("dbRole", "Without a Postgres connection string, every request runs as the key's role.")
        return
    assert connection.facts is not None
    facts = ServerFacts.from_json(connection.facts)
    name = connection.assumed_role
    if connection.db_role is None and name is not None and facts.find_role(name) is None:
        text = f"The login {facts.login_role} may not switch to the key's role, {name}. Choose another role."
        raise Invalid.field("dbRole", text)
    check_db_role(facts, name)


def check_db_role(facts: ServerFacts, name: str | None) -> None:
    """Checks that the login may switch to this role, and that it is no superuser."""
    if name is None:
        return
    role = facts.find_role(name)
    if role is None:
        raise Invalid.field("dbRole", f"The login {facts.login_role} may not switch to a role of this name.")
    if role.is_superuser:
        raise Invalid.field("dbRole", "A superuser bypasses every permission check; choose another role.")


def _check_complete(wanted: ConnectionCreate) -> None:
    if (wanted.url is None) != (wanted.key is None):
        missing = "url" if wanted.url is None else "key"
        raise Invalid.field(missing, "A project needs both a URL and a key.")
    if wanted.postgres_url is None and wanted.url is None:
        text = "Enter the URL and key of a Supabase project, a Postgres connection string, or both."
        raise Invalid(details=[{"field": "url", "message": text}, {"field": "postgresUrl", "message": text}])


def _parse_project(url: str, typed: Secret) -> tuple[RestAddress, ProjectKey]:
    try:
        address = parse_project_url(url)
    except URLError as error:
        raise Invalid.field("url", str(error)) from None
    try:
        return address, parse_key(typed)
    except KeyRefused as error:
        raise Invalid.field("key", str(error)) from None


def _set_values(connection: Connection, values: Values) -> None:
    for name, value in values.items():
        setattr(connection, name, value)


def _make_changed(connection: Connection, values: Values) -> Connection:
    """Returns the changed connection as an object that is not part of the db session."""
    names = ("sealed_postgres_url", "url", "sealed_key", "db_role", "facts", "rest_facts")
    return Connection(**{name: values.get(name, getattr(connection, name)) for name in names})


def _list_parts(values: Values) -> set[str]:
    """Lists the parts of the settings that these values change."""
    return {part for name, part in _PARTS.items() if name in values}


def _select_value(wanted: ConnectionChange, name: str) -> Values:
    return {name: getattr(wanted, name)} if wanted.has(name) else {}


def _reveal(value: SecretStr) -> Secret:
    return Secret(value.get_secret_value())
