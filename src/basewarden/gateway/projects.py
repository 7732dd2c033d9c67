"""The open projects: each with its pool of connections and its schema snapshot."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from basewarden.connections import CONNECTION_TOPIC, ConnectionTarget, ConnectionTargets, TablesUnchecked
from basewarden.db import Listener
from basewarden.errors import AppError
from basewarden.gateway.api.access import ApiAccess
from basewarden.gateway.api.project import ApiProject
from basewarden.gateway.caller import Caller
from basewarden.gateway.errors import NeedsPostgres
from basewarden.gateway.guarding import ProjectGuard
from basewarden.gateway.recording.sqlstates import INVALID_PARAMETER_VALUE
from basewarden.gateway.sharing import POOL_SIZE, SNAPSHOT, STATUS_QUERY, PoolSharing
from basewarden.gateway.visibility import NarrowedSchemas, RuledCallers
from basewarden.policy import GuardFacts, find_unknown_columns, find_unknown_names
from pgrest import (
    ColumnFacts,
    DatabaseError,
    DbConnection,
    Lease,
    Loaded,
    PgrestError,
    PlanTemplates,
    Pool,
    RestConfig,
    Schema,
    SchemaCache,
    Statement,
    Terms,
    load_audience_facts,
    load_column_facts,
    parse_address,
)

CLOSE_SECONDS = 5.0
OnSchema = Callable[[UUID, str], None]
"""Called with a connection and the version of the catalog that its schema was loaded of."""
_REST = RestConfig(tx_override=True, openapi_security=True, reads_roll_back=True, calls_unknown_names=False)
_log = structlog.get_logger()


class Project:
    """One connection's database while it is in use."""

    def __init__(
        self,
        target: ConnectionTarget,
        targets: ConnectionTargets,
        config: RestConfig,
        sharing: PoolSharing,
        on_schema: OnSchema,
    ) -> None:
        async def open_dsn() -> str:
            return (await targets.open_dsn(target)).reveal()

        self.target = target
        self.config = config
        self._lending = sharing
        self._on_schema = on_schema
        self.pool = Pool(
            open_dsn,
            max_size=POOL_SIZE,
            prepare=not target.is_pooled,
            guarded=True,
            budget=sharing.open_budget(),
        )
        self.templates = PlanTemplates()
        self.narrowed = NarrowedSchemas()
        self._ruled = RuledCallers(self._load_facts)
        self.guard = ProjectGuard(self._load_guard_facts)
        self._cache = SchemaCache(
            self.pool,
            self.config.schemas,
            self.config.extra_search_path,
            on_load=self._note_loaded,
            expects=(AppError,),
            terms=SNAPSHOT,
        )
        if not target.is_pooled:
            self._cache.listen(open_dsn, while_used=True)

    def terms_for(self, caller: Caller, *, writes: bool = False) -> Terms:
        shares = self._lending.agents if caller.is_agent else self._lending.members
        return shares.writing if writes else shares.reading

    def acquire(self, caller: Caller, *, writes: bool = False) -> Lease:
        """A connection for one request; of theirs a caller has a share, and so much time."""
        return self.pool.acquire(self.terms_for(caller, writes=writes), caller.key)

    def schema(self) -> Awaitable[Schema]:
        return self._cache.get()

    async def reload_schema(self) -> Schema:
        return await self._cache.reload()

    async def is_schema_changed(self, seen: Schema, error: PgrestError | DatabaseError) -> bool:
        """Whether `error` came of a stale snapshot; then `schema` has a fresh one."""
        return await self._cache.is_changed(seen, error)

    async def apply_column_rules(self, caller: Caller, schema: Schema) -> Caller:
        """The caller with its policy as it is on this snapshot. Raises DatabaseError where the database is asked."""
        return caller if not caller.policy.columns else await self._ruled.find(caller, schema)

    async def _load_facts(self) -> ColumnFacts:
        async with self.pool.acquire(SNAPSHOT) as connection:
            return await load_column_facts(connection)

    async def _load_guard_facts(self) -> GuardFacts:
        async with self.pool.acquire(SNAPSHOT) as connection:
            return GuardFacts(await load_column_facts(connection), await load_audience_facts(connection))

    async def close(self) -> None:
        await self._cache.close()
        await self.pool.close()

    def _note_loaded(self, loaded: Loaded) -> None:
        _log.info(
            "schema.loaded",
            connection=str(self.target.id),
            tables=len(loaded.snapshot.schema.tables),
            read=loaded.relations_read,
            seconds=round(loaded.seconds, 3),
        )
        version = loaded.snapshot.catalogue.pulse.digest
        if version is not None:
            self._on_schema(self.target.id, version)


AnyProject = Project | ApiProject


class Projects:
    """Opened on first use; closed when their connection changes, so that the next request opens the new one."""

    def __init__(self, targets: ConnectionTargets, listener: Listener, origin: str, sharing: PoolSharing) -> None:
        self._targets = targets
        self.sharing = sharing
        self._served_at = parse_address(origin)
        self._open: dict[UUID, AnyProject] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._heard_by: list[OnSchema] = []
        listener.on(CONNECTION_TOPIC, self._forget)

    def on_schema(self, hear: OnSchema) -> None:
        """Calls `hear` whenever the schema of a project's database was loaded, for the first time too."""
        self._heard_by.append(hear)

    async def get(self, connection_id: UUID) -> AnyProject:
        return self.find(await self._targets.get_target(connection_id))

    def find(self, target: ConnectionTarget) -> AnyProject:
        """As `get`, of a target that was just asked for."""
        project = self._open.get(target.id)
        if project is None:
            project = self._open[target.id] = self._make(target)
        return project

    def _make(self, target: ConnectionTarget) -> AnyProject:
        config = replace(_REST, served_at=replace(self._served_at, path=f"/api/v/{target.id}/rest/v1"))
        if target.address is None:
            return ApiProject(target, self._targets)
        return Project(target, self._targets, config, self.sharing, self._announce_schema)

    def _announce_schema(self, connection_id: UUID, version: str) -> None:
        for hear in self._heard_by:
            hear(connection_id, version)

    async def get_direct(self, connection_id: UUID) -> Project:
        """For what is done in the database itself."""
        project = await self.get(connection_id)
        if isinstance(project, ApiProject):
            raise NeedsPostgres
        return project

    async def find_unknown(self, connection_id: UUID, names: Sequence[str]) -> Sequence[str]:
        """Names of an agent's list that the project does not have; none where the project does not list its tables.

        Raises TablesUnchecked, or AppError, where the project cannot be asked.
        """
        project = await self.get(connection_id)
        try:
            schema: Schema | None = await _ask_schema(project)
            unknown = find_unknown_names(schema, names)
            if unknown:  # it may just have been made
                schema = await _ask_again(project, schema)
                unknown = find_unknown_names(schema, names)
        except (PgrestError, DatabaseError) as error:
            raise TablesUnchecked from error
        return unknown

    async def find_unknown_columns(self, connection_id: UUID, columns: Mapping[str, Iterable[str]]) -> Sequence[str]:
        """As `find_unknown`, of columns by table."""
        project = await self.get(connection_id)
        try:
            schema: Schema | None = await _ask_schema(project)
            unknown = find_unknown_columns(schema, columns)
            if unknown:
                schema = await _ask_again(project, schema)
                unknown = find_unknown_columns(schema, columns)
        except (PgrestError, DatabaseError) as error:
            raise TablesUnchecked from error
        return unknown

    async def find_api_access(self, connection_id: UUID) -> ApiAccess | None:
        """Access to a project through its API, with the schema now; None for a project with a connection string."""
        project = await self.get(connection_id)
        if not isinstance(project, ApiProject):
            return None
        await project.refresh(None)
        return ApiAccess(project.upstream, await project.schema(), project.find_newer)

    async def query_transaction_status(self, connection_id: UUID, xids: Sequence[int]) -> Mapping[int, str | None]:
        """What became of transactions; None = too old, never of this database, or its address is no longer known."""
        project = await self.get(connection_id)
        if isinstance(project, ApiProject):
            return dict.fromkeys(xids)
        async with project.pool.acquire(STATUS_QUERY) as connection:
            return await ask_connection(connection, xids)

    async def close(self) -> None:
        projects, self._open = list(self._open.values()), {}
        closing = {*self._closing, *(asyncio.create_task(project.close()) for project in projects)}
        if closing:
            await asyncio.wait(closing, timeout=CLOSE_SECONDS)

    def _forget(self, payload: str) -> None:
        """An empty payload says only that news may have been missed: what is open stays open then."""
        project = self._open.pop(UUID(payload), None) if payload else None
        if project is not None:
            task = asyncio.get_running_loop().create_task(project.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


async def _ask_schema(project: AnyProject) -> Schema | None:
    return await (project.find_schema() if isinstance(project, ApiProject) else project.schema())


async def _ask_again(project: AnyProject, seen: Schema | None) -> Schema | None:
    return await (project.wait_for_newer(seen) if isinstance(project, ApiProject) else project.reload_schema())


async def ask_connection(connection: DbConnection, xids: Sequence[int]) -> dict[int, str | None]:
    """What the database behind an open connection knows of them."""
    return {xid: await _ask_one(connection, xid) for xid in xids}


async def _ask_one(connection: DbConnection, xid: int) -> str | None:
    try:
        (rows,) = await connection.run(
            [Statement("SELECT pg_catalog.pg_xact_status($1::pg_catalog.text::pg_catalog.xid8)", (str(xid).encode(),))]
        )
    except DatabaseError as error:
        if error.sqlstate == INVALID_PARAMETER_VALUE:
            return None  # an id that this database has not reached: it was restored, or is another one
        raise
    status = rows.rows[0][0]
    return status.decode() if status is not None else None
