"""What the data API needs to know of a connection: cached for seconds, and dropped when it changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from basewarden.accounts import Person
from basewarden.connections import queries
from basewarden.connections.db_connections import make_dsn
from basewarden.connections.errors import ConnectionFailed, Reason, TwoFactorRequired
from basewarden.connections.guard.values import GUARD_OFF, GuardOptions, read_guard
from basewarden.connections.models import Connection, Environment, Role
from basewarden.connections.rest.client import RestClient
from basewarden.connections.rest.keys import ProjectKey, parse_key
from basewarden.connections.rest.urls import RestAddress, parse_saved_url
from basewarden.connections.stops import CONNECTION_STATE_TOPIC
from basewarden.connections.urls import PostgresAddress, parse_postgres_url
from basewarden.core.cache import LoadingCache
from basewarden.core.secret import Secret
from basewarden.db import Database, Listener, WriteSession
from basewarden.errors import NotFound
from basewarden.settings import Settings
from basewarden.vault import SealContext, Vault

CONNECTION_TOPIC = "connection"
_CACHE_SECONDS = 10.0
_CACHE_SIZE = 5_000


@dataclass(frozen=True, slots=True)
class ConnectionTarget:
    """A project as the data API reaches it: by its Postgres `address` or, without one, by its REST `api`.

    `db_role` None = the login's own role, or the key's.
    """

    id: UUID
    name: str
    environment: Environment
    address: PostgresAddress | None
    api: "ProjectAPI | None"
    db_role: str | None
    is_pooled: bool = False
    requires_two_factor: bool = False
    are_agents_frozen: bool = False
    guard: GuardOptions = GUARD_OFF
    exposed_schemas: Sequence[str] | None = None
    """What its settings say that the project's API exposes; None where that is looked up."""


@dataclass(frozen=True, slots=True)
class ProjectAPI:
    """A project's REST API: its address, its key, and the schemas that it exposed when it was probed."""

    address: RestAddress
    key: ProjectKey
    schemas: tuple[str, ...]


class ConnectionTargets:
    def __init__(self, database: Database, listener: Listener, vault: Vault, settings: Settings) -> None:
        self._database = database
        self._listener = listener
        self._vault = vault
        self._allow_private = settings.allow_private_addresses
        self._targets = LoadingCache(self._load_target, size=_CACHE_SIZE, seconds=_CACHE_SECONDS)
        self._roles = LoadingCache(self._load_role, size=_CACHE_SIZE, seconds=_CACHE_SECONDS)
        listener.on(CONNECTION_TOPIC, self._forget)
        listener.on(CONNECTION_STATE_TOPIC, self._forget)

    async def get_target(self, connection_id: UUID) -> ConnectionTarget:
        target = await self._targets.get(connection_id)
        if target is None:
            raise NotFound
        return target

    async def find_role(self, connection_id: UUID, person: Person) -> Role | None:
        """Finds a person's role on a connection; None for others. Raises TwoFactorRequired."""
        role = await self._roles.get((connection_id, person.id))
        if role is None or person.has_two_factor:
            return role
        if (await self.get_target(connection_id)).requires_two_factor:
            raise TwoFactorRequired(connection_id)
        return role

    async def open_dsn(self, target: ConnectionTarget) -> Secret:
        """Returns libpq's string for the next connection: the host is resolved, checked and pinned each time."""
        if target.address is None:
            raise ConnectionFailed(Reason.UNREACHABLE)
        return Secret(await make_dsn(target.address, allow_private=self._allow_private))

    def open_client(self, api: ProjectAPI) -> RestClient:
        """Returns a client that the caller must close. Its host is resolved, checked and pinned for each connection."""
        return RestClient(api.address, api.key, allow_private=self._allow_private)

    def unseal_url(self, connection: Connection) -> PostgresAddress | None:
        if connection.sealed_postgres_url is None:
            return None
        return parse_postgres_url(self._vault.open(connection.sealed_postgres_url, make_url_context(connection.id)))

    def unseal_api(self, connection: Connection) -> ProjectAPI | None:
        if connection.sealed_key is None or connection.url is None:
            return None
        key = parse_key(self._vault.open(connection.sealed_key, make_key_context(connection.id)))
        facts = connection.rest_facts or {}
        return ProjectAPI(parse_saved_url(connection.url), key, tuple(facts.get("schemas", ("public",))))

    async def announce_change(self, session: WriteSession, connection_id: UUID) -> None:
        """Announces a change of a connection or its members; every such change must call this."""
        await self._listener.announce(session, CONNECTION_TOPIC, str(connection_id))

    async def _load_target(self, connection_id: UUID) -> ConnectionTarget | None:
        async with self._database.read_only() as session:
            connection = await queries.find_connection(session, connection_id)
        if connection is None:
            return None
        return ConnectionTarget(
            id=connection.id,
            name=connection.name,
            environment=Environment(connection.environment),
            address=self.unseal_url(connection),
            api=None if connection.is_direct else self.unseal_api(connection),
            db_role=connection.assumed_role if connection.is_direct else None,
            is_pooled=bool((connection.facts or {}).get("is_pooled")),
            requires_two_factor=connection.requires_two_factor,
            exposed_schemas=connection.schemas,
            are_agents_frozen=connection.agents_frozen_at is not None,
            guard=read_guard(connection),
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


def make_url_context(connection_id: UUID) -> SealContext:
    return SealContext("connections.sealed_postgres_url", connection_id)


def make_key_context(connection_id: UUID) -> SealContext:
    return SealContext("connections.sealed_key", connection_id)
