"""What the data road needs to know of a connection: remembered for seconds, dropped when it changes."""

from dataclasses import dataclass
from uuid import UUID

from basewarden.connections import queries
from basewarden.connections.dialing import make_dsn
from basewarden.connections.models import Connection, Environment, Role
from basewarden.connections.urls import PostgresAddress, parse_postgres_url
from basewarden.core.cache import LoadingCache
from basewarden.core.secret import Secret
from basewarden.db import Database, Listener, WriteSession
from basewarden.errors import NotFound
from basewarden.settings import Settings
from basewarden.vault import Place, Vault

TOPIC = "connection"
_REMEMBER_SECONDS = 10.0
_REMEMBER_AT_MOST = 5_000


@dataclass(frozen=True, slots=True)
class ConnectionTarget:
    """A project's database as the data road meets it. `db_role` None = the login's own role."""

    id: UUID
    name: str
    environment: Environment
    address: PostgresAddress
    db_role: str | None


class ConnectionTargets:
    def __init__(self, database: Database, listener: Listener, vault: Vault, settings: Settings) -> None:
        self._database = database
        self._listener = listener
        self._vault = vault
        self._allow_private = settings.allow_private_addresses
        self._targets = LoadingCache(self._load_target, size=_REMEMBER_AT_MOST, seconds=_REMEMBER_SECONDS)
        self._roles = LoadingCache(self._load_role, size=_REMEMBER_AT_MOST, seconds=_REMEMBER_SECONDS)
        listener.on(TOPIC, self._forget)

    async def get_target(self, connection_id: UUID) -> ConnectionTarget:
        target = await self._targets.get(connection_id)
        if target is None:
            raise NotFound
        return target

    async def find_role(self, connection_id: UUID, person_id: UUID) -> Role | None:
        """What a person is on a connection; None for a stranger."""
        return await self._roles.get((connection_id, person_id))

    async def open_dsn(self, target: ConnectionTarget) -> Secret:
        """Libpq's string for the next connect: the host is resolved, checked and pinned anew each time."""
        return Secret(await make_dsn(target.address, allow_private=self._allow_private))

    def open_url(self, connection: Connection) -> PostgresAddress:
        url = self._vault.open(connection.sealed_postgres_url, make_place(connection.id))
        return parse_postgres_url(url)

    async def announce_change(self, session: WriteSession, connection_id: UUID) -> None:
        """To be called by whoever changes a connection or its members."""
        await self._listener.announce(session, TOPIC, str(connection_id))

    async def _load_target(self, connection_id: UUID) -> ConnectionTarget | None:
        async with self._database.read_only() as session:
            connection = await queries.find_connection(session, connection_id)
        if connection is None:
            return None
        return ConnectionTarget(
            id=connection.id,
            name=connection.name,
            environment=Environment(connection.environment),
            address=self.open_url(connection),
            db_role=connection.db_role,
        )

    async def _load_role(self, key: tuple[UUID, UUID]) -> Role | None:
        async with self._database.read_only() as session:
            role = await queries.find_member_role(session, *key)
        return Role(role) if role else None

    def _forget(self, payload: str) -> None:
        if not payload:
            self._targets.clear()
            self._roles.clear()
            return
        changed = UUID(payload)
        self._targets.drop(changed)
        self._roles.drop_where(lambda key, _: key[0] == changed)


def make_place(connection_id: UUID) -> Place:
    return Place("connections.sealed_postgres_url", connection_id)
