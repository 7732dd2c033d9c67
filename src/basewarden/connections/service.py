"""Saving, changing and deleting connections. Nothing is saved that a probe could not use."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Row, func

from basewarden.accounts import Attempt, Attempts, Limit
from basewarden.billing import Plans
from basewarden.connections import queries
from basewarden.connections.models import Connection, ConnectionMember, Role
from basewarden.connections.probe import Facts, probe
from basewarden.connections.schemas import ConnectionChange, ConnectionCreate
from basewarden.connections.targets import ConnectionTargets, make_place
from basewarden.connections.urls import PostgresAddress, URLError, parse_postgres_url
from basewarden.core.ids import make_id
from basewarden.core.secret import Secret
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import Invalid, NotFound
from basewarden.settings import Settings
from basewarden.vault import Vault

PROBES = Limit(20, 60)  # of addresses that a person types
CHECKS = Limit(120, 60)  # of saved ones: every look at a home page is one


class Connections:
    def __init__(
        self, targets: ConnectionTargets, vault: Vault, attempts: Attempts, settings: Settings, plans: Plans
    ) -> None:
        self._targets = targets
        self._vault = vault
        self._attempts = attempts
        self._allow_private = settings.allow_private_addresses
        self._plans = plans

    async def create(self, session: WriteSession, wanted: ConnectionCreate, person_id: UUID) -> Connection:
        """PlanLimit before anything is dialled, and once more when the place is taken: two at once get one place."""
        count_owned = partial(queries.count_owned, session, person_id)
        await self._plans.check_room(session, person_id, count_owned)
        url = _reveal(wanted.postgres_url)
        facts = await self._probe(_parse_url(url), person_id)
        check_db_role(facts, wanted.db_role)
        await self._plans.take_room(session, person_id, count_owned)
        connection_id = make_id()
        connection = Connection(
            id=connection_id,
            name=wanted.name,
            environment=wanted.environment,
            sealed_postgres_url=self._vault.seal(url, make_place(connection_id)),
            db_role=wanted.db_role,
            facts=facts.as_json(),
            created_by=person_id,
        )
        member = ConnectionMember(connection_id=connection_id, user_id=person_id, role=Role.OWNER)
        await queries.insert_connection(session, connection, member)
        return connection

    async def change(
        self, session: WriteSession, connection: Connection, wanted: ConnectionChange, person_id: UUID
    ) -> Connection:
        values: dict[str, Any] = {
            name: getattr(wanted, name) for name in ("name", "environment", "db_role") if wanted.has(name)
        }
        if wanted.has("postgres_url") or wanted.db_role is not None:
            values |= await self._probe_change(connection, wanted, person_id)
        if not values:
            return connection
        await self._targets.announce_change(session, connection.id)
        changed = await queries.update_connection(session, connection.id, values)
        if changed is None:
            raise NotFound
        return changed

    async def delete(self, session: WriteSession, connection_id: UUID) -> None:
        await self._targets.announce_change(session, connection_id)
        await queries.delete_connection(session, connection_id)

    async def check(self, connection: Connection, person_id: UUID) -> Facts:
        """The facts as they are now; ConnectionFailed says what is wrong."""
        await self._attempts.take(Attempt("connections.check", str(person_id), CHECKS))
        return await probe(self._targets.open_url(connection), allow_private=self._allow_private)

    async def _probe_change(self, connection: Connection, wanted: ConnectionChange, person_id: UUID) -> dict[str, Any]:
        """Another address must offer the role that stays, another role the address that stays."""
        values: dict[str, Any] = {}
        if wanted.has("postgres_url"):
            url = _reveal(wanted.postgres_url)
            facts = await self._probe(_parse_url(url), person_id)
            values["sealed_postgres_url"] = self._vault.seal(url, make_place(connection.id))
        else:
            facts = await self.check(connection, person_id)
        check_db_role(facts, wanted.db_role if wanted.has("db_role") else connection.db_role)
        return values | {"facts": facts.as_json(), "probed_at": func.now()}

    async def _probe(self, address: PostgresAddress, person_id: UUID) -> Facts:
        """Limited: else a person could look for open ports with our address."""
        await self._attempts.take(Attempt("connections.probe", str(person_id), PROBES))
        return await probe(address, allow_private=self._allow_private)


async def list_connections(
    session: ReadSession, person_id: UUID, *, before: UUID | None, limit: int
) -> Sequence[Row[Connection, str]]:
    return await queries.list_connections(session, person_id, before=before, limit=limit)


async def find_membership(session: ReadSession, connection_id: UUID, person_id: UUID) -> tuple[Connection, Role] | None:
    row = await queries.find_membership(session, connection_id, person_id)
    return (row[0], Role(row[1])) if row else None


def check_db_role(facts: Facts, name: str | None) -> None:
    """A role to take on must be one that the login may take on, and no superuser."""
    if name is None:
        return
    role = facts.find_role(name)
    if role is None:
        raise Invalid.field("dbRole", f"The login {facts.login_role} may not take on a role of this name.")
    if role.is_superuser:
        raise Invalid.field("dbRole", "A superuser passes every check of the database; choose a lesser role.")


def _parse_url(url: Secret) -> PostgresAddress:
    try:
        return parse_postgres_url(url)
    except URLError as error:
        raise Invalid.field("postgresUrl", str(error)) from None


def _reveal(value: SecretStr) -> Secret:
    return Secret(value.get_secret_value())
