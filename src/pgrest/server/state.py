"""What the server knows at this moment: settings, connections, the schema, and which session a token gives.

One task brings the schema up and up to date, and tries for as long as the database cannot be reached; another listens
for notifications. Requests take what there is and never wait for either.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from pgrest.errors import DatabaseError, PgrestError, no_schema_cache
from pgrest.query.templates import PlanTemplates
from pgrest.schema.cache import SchemaCache
from pgrest.schema.model import Schema
from pgrest.schema.refresher import Loaded
from pgrest.server.auth import Authenticator
from pgrest.server.errors import GivingUpError
from pgrest.server.listener import ReloadListener
from pgrest.server.log import Log
from pgrest.server.shared_metrics import Metric, Row
from pgrest.settings import BadSettings, ServerSettings, Source, locate
from pgrest.settings.database import read_database_settings
from pgrest.sql.text import Statement
from pgrest.wire.pool import Pool

_APPLICATION_NAME = "basewarden rest"
_OLDEST_SERVER = 130000
_VERSION = Statement("SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.version()")
_ALIVE = Statement("SELECT 1")
_BURST_SECONDS = 0.1
"""Reloads that are asked for within this time are one."""
_LONGEST_PAUSE = 32
_REFUSED = ("password authentication failed", "no password supplied")


class ServerState:
    """`give_up` receives one sentence, which says why the server cannot go on."""

    def __init__(
        self,
        settings: ServerSettings,
        source: Source | None,
        log: Log,
        row: Row,
        give_up: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.log = log
        self.row = row
        self.pool = Pool(
            settings.dsn,
            max_size=settings.pool.size,
            wait_seconds=settings.pool.wait_seconds,
            idle_seconds=settings.pool.idle_seconds,
            lifetime_seconds=settings.pool.lifetime_seconds,
            prepare=settings.prepares,
            application_name=choose_name(settings.dsn),
        )
        self.authenticator = self._make_authenticator()
        self.templates = PlanTemplates()
        """the plans of these settings"""
        self.retry_seconds = 0
        """until the next attempt to reach the database"""
        self._source = source
        self._give_up = give_up
        self._cache: SchemaCache | None = None
        self._loaded_schemas: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        self._wanted = asyncio.Event()
        self._first_attempt = asyncio.Event()
        self._config_lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listening: asyncio.Task[None] | None = None
        self._missed_notifications = False
        row.put(Metric.POOL_MAX, settings.pool.size)

    # Life -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Returns at once; `settled` tells when the first attempt to load the schema is over."""
        self._wanted.set()
        self._spawn(self._keep_loaded())
        self._listen()

    async def settled(self) -> None:
        await self._first_attempt.wait()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._cache is not None:
            await self._cache.close()
        await self.pool.close()

    def want_schema(self) -> None:
        self._wanted.set()

    def note_unavailable(self) -> None:
        """Records that a request could not reach the database. A retry that is already under way keeps its pauses."""
        if self.retry_seconds == 0:
            self.want_schema()

    def want_config(self) -> None:
        self._spawn(self.reload_config())

    # What requests ask for ------------------------------------------------------------------------------

    @property
    def is_loaded(self) -> bool:
        return self._cache is not None

    @property
    def cache(self) -> SchemaCache:
        if self._cache is None:
            raise no_schema_cache()
        return self._cache

    async def is_connected(self) -> bool:
        """Whether the database can be reached now; the listener knows, else it is asked."""
        if self.settings.listens:
            return bool(self.row.get(Metric.IS_CONNECTED))
        try:
            async with self.pool.acquire() as conn:
                await conn.run([_ALIVE])
        except (PgrestError, DatabaseError):
            return False
        return True

    def post_figures(self) -> None:
        figures = self.pool.figures
        self.row.put(Metric.POOL_AVAILABLE, figures.open - figures.in_use)
        self.row.put(Metric.POOL_WAITING, figures.waiting)
        self.row.put(Metric.POOL_TIMEOUTS, figures.timeouts)

    # The schema -----------------------------------------------------------------------------------------

    async def _keep_loaded(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._load_patiently()
            await asyncio.sleep(_BURST_SECONDS)

    async def _load_patiently(self) -> None:
        for pause in _pauses():
            try:
                await self._load()
            except (PgrestError, DatabaseError):
                if not self.settings.recovers:
                    raise GivingUpError("The database cannot be reached and automatic recovery is off.") from None
            else:
                self.retry_seconds = 0
                return
            finally:
                self._first_attempt.set()
            self.retry_seconds = pause
            self.log.write(f"Attempting to reconnect to the database in {pause} seconds...")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), pause)
            self._wanted.clear()

    async def _load(self) -> None:
        await self._check_version()
        if self.settings.reads_database:
            await self.reload_config()
        self._wanted.clear()  # what was asked for until here is answered by what is read now
        started, loads = time.perf_counter(), self.row.get(Metric.SCHEMA_LOADS)
        try:
            cache = self._find_cache()
            schema = await cache.reload()
        except (PgrestError, DatabaseError) as error:
            self.row.add(Metric.SCHEMA_FAILURES)
            self.log.write(f"Failed to load the schema cache. {_describe(error)}")
            raise
        await self._put_cache(cache)
        await self.pool.flush()
        was_read = self.row.get(Metric.SCHEMA_LOADS) > loads
        self._log_loaded(schema, time.perf_counter() - started, was_read=was_read)

    async def _check_version(self) -> None:
        try:
            async with self.pool.acquire() as conn:
                [rows] = await conn.run([_VERSION])
        except (PgrestError, DatabaseError) as error:
            failure = _describe(error)
            self.log.write(f"Failed to query the PostgreSQL version. {failure}")
            if any(text in failure for text in _REFUSED):
                raise GivingUpError("The database refuses the login.") from None
            raise
        number, name = ((value or b"").decode() for value in rows.rows[0])
        if int(number) < _OLDEST_SERVER:
            raise GivingUpError(f"PostgreSQL 13 or newer is needed; this is {name}.")
        if not self.is_loaded:
            self.log.write(f"Successfully connected to {name}")
            self.log.write(f"Connection Pool initialized with a maximum size of {self.settings.pool.size} connections")

    def _find_cache(self) -> SchemaCache:
        rest = self.settings.rest
        wanted = (rest.schemas, rest.extra_search_path)
        if self._cache is not None and wanted == self._loaded_schemas:
            return self._cache
        return SchemaCache(self.pool, *wanted, on_load=self._note_load)

    async def _put_cache(self, cache: SchemaCache) -> None:
        old, self._cache = self._cache, cache
        self._loaded_schemas = (self.settings.rest.schemas, self.settings.rest.extra_search_path)
        self.row.put(Metric.IS_LOADED, 1)
        if old is not None and old is not cache:
            await old.close()

    def _note_load(self, loaded: Loaded) -> None:
        """Counts each load, whether the server asked for it or the cache noticed a change by itself."""
        self.row.add(Metric.SCHEMA_LOADS)
        self.row.put(Metric.SCHEMA_SECONDS, loaded.seconds)

    def _log_loaded(self, schema: Schema, seconds: float, *, was_read: bool) -> None:
        if not was_read:  # it was asked for all the same
            self.row.add(Metric.SCHEMA_LOADS)
        self.log.write(f"Schema cache queried in {seconds * 1000:.1f} milliseconds")
        self.log.write(
            f"Schema cache loaded {len(schema.tables)} Relations, "
            f"{sum(map(len, schema.relationships.values()))} Relationships, "
            f"{sum(map(len, schema.functions.values()))} RPCs, "
            f"{len(schema.representations)} Domain Representations, "
            f"{len(schema.media_handlers)} Media Type Handlers"
        )

    # Settings -------------------------------------------------------------------------------------------

    async def reload_config(self) -> None:
        """A file or a database that says something wrong changes nothing, and the log says what."""
        if self._source is None:
            return
        async with self._config_lock:
            stored = await self._read_stored() if self.settings.reads_database else {}
            try:
                settings = self._source.read(stored)
            except BadSettings as error:
                self.log.write(f"Failed reloading config: {error}")
                return
            await self._apply(settings)
        self.log.write("Config reloaded")

    async def _read_stored(self) -> Any:
        try:
            async with self.pool.acquire() as conn:
                return await read_database_settings(conn, self.settings.pre_config)
        except (PgrestError, DatabaseError) as error:
            self.log.write(f"Failed to query database settings for the config parameters. {_describe(error)}")
            return {}

    async def _apply(self, new: ServerSettings) -> None:
        old = self.settings
        self.settings = new = replace(
            new,
            dsn=old.dsn,
            binding=old.binding,
            pool=old.pool,
            log_level=old.log_level,
            rest=replace(new.rest, served_at=locate(old.binding, new.openapi_proxy_uri)),
        )
        if new.rest != old.rest:
            self.templates = PlanTemplates()
        if (new.jwt, new.anon_role) != (old.jwt, old.anon_role):
            self.authenticator = self._make_authenticator()
        else:
            self.authenticator.resize(new.jwt_cache_entries)
        if new.prepares != old.prepares:
            await self.pool.flush(prepare=new.prepares)
        if (new.listens, new.channel) != (old.listens, old.channel):
            self._listen()
        if self.is_loaded and self._loaded_schemas != (new.rest.schemas, new.rest.extra_search_path):
            self.want_schema()

    def _make_authenticator(self) -> Authenticator:
        settings = self.settings
        return Authenticator(settings.jwt, settings.anon_role, settings.jwt_cache_entries, self.row)

    # Notifications --------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
            self.row.put(Metric.IS_CONNECTED, 0)
        if self.settings.listens:
            listener = ReloadListener(
                dsn=self.settings.dsn,
                channel=self.settings.channel,
                application_name=choose_name(self.settings.dsn),
                log=self.log,
                hear=self._hear,
                on_change=self._note_listening,
                recovers=lambda: self.settings.recovers,
            )
            self._listening = self._spawn(listener.run())

    def _hear(self, payload: str) -> None:
        channel = self.settings.channel
        if payload in ("", "reload schema"):
            self.log.write(f'Received a schema cache reload message on the "{channel}" channel')
            self.want_schema()
        elif payload == "reload config":
            self.log.write(f'Received a config reload message on the "{channel}" channel')
            self.want_config()

    def _note_listening(self, listens: float) -> None:
        self.row.put(Metric.IS_CONNECTED, listens)
        if not listens:
            self._missed_notifications = True
        elif self._missed_notifications:
            self._missed_notifications = False
            self.want_schema()

    # Tasks ----------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._notice_end)
        return task

    def _notice_end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, GivingUpError):
            self.log.write(str(error))
            self._give_up(str(error))
        elif error is not None:
            self.log.log_failure(error)
            self._give_up("A part of the server broke; what is above says where.")


def choose_name(dsn: str) -> str:
    """What the database shows our connections as: what the operator says, else who we are."""
    return str(conninfo_to_dict(dsn).get("application_name") or os.environ.get("PGAPPNAME") or _APPLICATION_NAME)


def _pauses() -> Iterator[int]:
    pause = 1
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE)


def _describe(error: PgrestError | DatabaseError) -> str:
    if isinstance(error, DatabaseError):
        return str(error)
    return error.body().decode()
