"""Keeps the snapshot of one database, and notices when the database has changed."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any

import psycopg

from basewarden.pgrest.errors import DatabaseError, PgrestError, no_schema_cache
from basewarden.pgrest.introspection import FINGERPRINT, load_schema
from basewarden.pgrest.pool import Pool
from basewarden.pgrest.schema import Schema
from basewarden.pgrest.sql import Statement
from basewarden.pgrest.wire import Connection, Notification

_STALE = frozenset({"PGRST200", "PGRST202", "PGRST204", "PGRST205", "42P01", "42703", "42883", "42804", "0A000"})
_LISTEN = Statement("LISTEN pgrst")
_RETRY_SECONDS = 5.0


class SchemaCache:
    """`get` answers at once from memory; a changed catalogue is noticed in the background."""

    def __init__(
        self,
        pool: Pool,
        schemas: Sequence[str],
        extra_search_path: Sequence[str] = (),
        *,
        check_seconds: float = 1.0,
    ) -> None:
        self._pool = pool
        self._schemas = tuple(schemas)
        self._extra_search_path = tuple(extra_search_path)
        self._check_seconds = check_seconds
        self._current: Schema | None = None
        self._checked_at = float("-inf")
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def get(self) -> Schema:
        if self._current is None:
            async with self._lock:
                if self._current is None:
                    await self._load()
        elif self._is_due() and not self._lock.locked():
            self._spawn(self._check_quietly())
        if self._current is None:
            raise AssertionError("loading either succeeds or raises")
        return self._current

    async def reload(self) -> Schema:
        async with self._lock:
            return await self._load()

    async def is_changed(self, seen: Schema, error: PgrestError) -> bool:
        """Whether `error` may come from planning on a stale snapshot: then `get` has a newer one now."""
        if error.code not in _STALE:
            return False
        if self._current is seen and self._is_due():
            await self._check()
        return self._current is not seen

    def listen(self, dsn: str) -> None:
        """Also reload on `NOTIFY pgrst`, heard on a connection of its own."""
        self._spawn(self._keep_listening(dsn))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # Checking -------------------------------------------------------------------------------------------

    def _is_due(self) -> bool:
        return asyncio.get_running_loop().time() - self._checked_at >= self._check_seconds

    async def _check_quietly(self) -> None:
        """What goes wrong here the next request meets itself."""
        with contextlib.suppress(DatabaseError, PgrestError):
            await self._check()

    async def _check(self) -> None:
        async with self._lock:
            if not self._is_due():
                return
            self._checked_at = asyncio.get_running_loop().time()
            async with self._pool.acquire() as conn:
                answers = await conn.run([FINGERPRINT])
            found = (answers[0].rows[0][0] or b"").decode()
            if self._current is None or found != self._current.fingerprint:
                await self._load()

    async def _load(self) -> Schema:
        async with self._pool.acquire() as conn:
            try:
                self._current = await load_schema(conn, self._schemas, self._extra_search_path)
            except DatabaseError as error:
                raise no_schema_cache(error.message) from error
        self._checked_at = asyncio.get_running_loop().time()
        return self._current

    # Listening ------------------------------------------------------------------------------------------

    async def _keep_listening(self, dsn: str) -> None:
        while True:
            with contextlib.suppress(psycopg.Error, DatabaseError, PgrestError):
                await self._listen_once(dsn)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen_once(self, dsn: str) -> None:
        conn = await Connection.connect(dsn, application_name="basewarden-listen")
        conn.on_notify = self._hear
        try:
            await conn.run([_LISTEN])
            await conn.wait_closed()
        finally:
            await conn.close()

    def _hear(self, heard: Notification) -> None:
        if heard.payload in ("", "reload schema"):
            self._spawn(self._reload_quietly())

    async def _reload_quietly(self) -> None:
        with contextlib.suppress(DatabaseError, PgrestError):
            await self.reload()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
