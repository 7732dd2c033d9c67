"""A few connections to one database, lent one task at a time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType

import psycopg
from psycopg import pq

from basewarden.pgrest import errors
from basewarden.pgrest.sql import Statement
from basewarden.pgrest.wire import Connection

_ROLLBACK = Statement("ROLLBACK")


class Pool:
    """Connections are made when needed, at most `max_size`, and closed after `idle_seconds` without use.

    `dsn` may be asked for anew at every connect: its host may have moved, or be refused by now.
    """

    def __init__(
        self,
        dsn: str | Callable[[], Awaitable[str]],
        *,
        max_size: int = 10,
        wait_seconds: float = 10,
        connect_seconds: float = 10,
        idle_seconds: float = 60,
        prepare: bool = True,
        application_name: str = "basewarden",
    ) -> None:
        self._dsn = dsn
        self._wait_seconds = wait_seconds
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._prepare = prepare
        self._application_name = application_name
        self._free = max_size
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._expiry: asyncio.TimerHandle | None = None
        self._idle: list[tuple[float, Connection]] = []
        self._pruner: asyncio.Task[None] | None = None
        self._is_closed = False

    def acquire(self) -> "Lease":
        """`async with pool.acquire() as conn`. Too long a wait is PGRST003, no connection PGRST000."""
        return Lease(self)

    async def close(self) -> None:
        """Connections that are out are closed when they come back."""
        self._is_closed = True
        if self._pruner is not None:
            self._pruner.cancel()
        idle, self._idle = self._idle, []
        for _, conn in idle:
            await conn.close()

    async def take(self) -> Connection:
        if self._free:
            self._free -= 1
        else:
            await self._wait_for_place()
        try:
            return await self._idle_or_new()
        except BaseException:
            self._leave_place()
            raise

    async def give_back(self, conn: Connection) -> None:
        try:
            if conn.is_usable and conn.transaction_status != pq.TransactionStatus.IDLE:
                await conn.run([_ROLLBACK])
        except (errors.DatabaseError, errors.PgrestError):
            await conn.close()
        finally:
            self._leave_place()
            if conn.is_usable and not self._is_closed:
                self._keep_idle(conn)
            elif conn.is_usable:
                await conn.close()

    # Places: as many as there may be connections. One clock runs for all who wait, not one each.

    async def _wait_for_place(self) -> None:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting.append((loop.time() + self._wait_seconds, place))
        if self._expiry is None:
            self._expiry = loop.call_later(self._wait_seconds, self._expire)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self._leave_place()  # it had come already
            raise

    def _leave_place(self) -> None:
        while self._waiting:
            _, place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._expiry = None
        while self._waiting and (self._waiting[0][1].done() or self._waiting[0][0] <= loop.time()):
            _, place = self._waiting.popleft()
            if not place.done():
                place.set_exception(errors.pool_timeout())
        if self._waiting:
            self._expiry = loop.call_at(self._waiting[0][0], self._expire)

    async def _idle_or_new(self) -> Connection:
        while self._idle:
            _, conn = self._idle.pop()
            if conn.is_usable:
                return conn
            await conn.close()
        dsn = self._dsn if isinstance(self._dsn, str) else await self._dsn()
        try:
            return await Connection.connect(
                dsn,
                timeout=self._connect_seconds,
                application_name=self._application_name,
                prepare=self._prepare,
            )
        except psycopg.Error as error:
            raise errors.cannot_connect(str(error).strip()) from error

    def _keep_idle(self, conn: Connection) -> None:
        self._idle.append((asyncio.get_running_loop().time(), conn))
        if self._pruner is None or self._pruner.done():
            self._pruner = asyncio.create_task(self._prune())

    async def _prune(self) -> None:
        """Close what has been idle too long, oldest first, until nothing is idle."""
        while self._idle:
            since, conn = self._idle[0]
            remaining = since + self._idle_seconds - asyncio.get_running_loop().time()
            if remaining > 0:
                await asyncio.sleep(remaining)
            else:
                self._idle.pop(0)
                await conn.close()


class Lease:
    __slots__ = ("_conn", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._conn: Connection | None = None

    async def __aenter__(self) -> Connection:
        self._conn = await self._pool.take()
        return self._conn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._conn is not None:
            conn, self._conn = self._conn, None
            await self._pool.give_back(conn)
