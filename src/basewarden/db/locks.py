"""Advisory locks that are held for long, on one connection of this process outside of the pool.

An undo holds its lock while it waits for a project's database. With one connection of the pool for each, a few
databases that do not respond would use up the pool.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from basewarden.core.secret import Secret
from basewarden.errors import Unavailable

CONNECT_SECONDS = 10
_ACQUIRE = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_RELEASE = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


class Locks:
    """Advisory locks by name. They end with the connection, so they also end with the process."""

    def __init__(self, dsn: Secret) -> None:
        self._dsn = dsn
        self._connection: psycopg.AsyncConnection | None = None
        self._lock = asyncio.Lock()
        self._held: set[str] = set()

    @asynccontextmanager
    async def try_hold(self, name: str) -> AsyncIterator[bool]:
        """Yields whether the lock is held: False if another task or process holds it."""
        if name in self._held:
            yield False
            return
        self._held.add(name)
        is_held = None  # unknown if it is cancelled while it acquires
        try:
            is_held = await self._acquire(name)
            yield is_held
        finally:
            if is_held is False:
                self._held.discard(name)
            else:
                await asyncio.shield(asyncio.create_task(self._release(name)))

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()

    async def _acquire(self, name: str) -> bool:
        async with self._lock:
            try:
                return await self._execute(_ACQUIRE, name)
            except psycopg.OperationalError:
                await self.close()  # the server may have closed the connection long ago
            try:
                return await self._execute(_ACQUIRE, name)
            except psycopg.OperationalError as error:
                raise Unavailable from error

    async def _release(self, name: str) -> None:
        async with self._lock:
            self._held.discard(name)
            if self._connection is None or self._connection.closed:
                return
            try:
                await self._execute(_RELEASE, name)
            except psycopg.OperationalError:
                await self.close()  # which releases the lock

    async def _execute(self, query: str, name: str) -> bool:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._dsn.reveal(), autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="basewarden"
            )
        found = await (await self._connection.execute(query, (name,))).fetchone()
        return bool(found and found[0])
