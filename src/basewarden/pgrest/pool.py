"""A few connections to one database, lent one task at a time."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

import psycopg
from psycopg import pq

from basewarden.pgrest import errors
from basewarden.pgrest.pooling import is_transaction_pooled
from basewarden.pgrest.sql import Statement
from basewarden.pgrest.wire import Connection

_ROLLBACK = Statement("ROLLBACK")


@dataclass(frozen=True, slots=True)
class PoolFigures:
    open: int
    in_use: int
    waiting: int
    timeouts: int
    """How many waited in vain, ever."""


@dataclass(frozen=True, slots=True)
class _Idle:
    conn: Connection
    born: float
    since: float


class Pool:
    """Connections are made when needed, at most `max_size`, and closed after `idle_seconds` without use.

    One that is older than `lifetime_seconds` is closed as soon as nobody uses it. `dsn` may be asked for anew at every
    connect: its host may have moved, or be refused by now.
    """

    def __init__(
        self,
        dsn: str | Callable[[], Awaitable[str]],
        *,
        max_size: int = 10,
        wait_seconds: float = 10,
        connect_seconds: float = 10,
        idle_seconds: float = 60,
        lifetime_seconds: float | None = None,
        prepare: bool = True,
        application_name: str = "basewarden",
    ) -> None:
        self._dsn = dsn
        self._wait_seconds = wait_seconds
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._lifetime_seconds = lifetime_seconds
        self._prepare = prepare
        self._is_transaction_pooled: bool | None = None
        self._finding_out = asyncio.Lock()
        self._application_name = application_name
        self._free = max_size
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._expiry: asyncio.TimerHandle | None = None
        self._idle: list[_Idle] = []
        self._born: dict[Connection, float] = {}
        """when each connection that is lent was made"""
        self._flushed_at = float("-inf")
        self._timeouts = 0
        self._pruner: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def figures(self) -> PoolFigures:
        in_use, waiting = len(self._born), sum(not place.done() for _, place in self._waiting)
        return PoolFigures(in_use + len(self._idle), in_use, waiting, self._timeouts)

    def acquire(self) -> "Lease":
        """`async with pool.acquire() as conn`. Too long a wait is PGRST003, no connection PGRST000."""
        return Lease(self)

    async def flush(self, *, prepare: bool | None = None) -> None:
        """From now on only connections that are made anew are lent; `prepare` is for those."""
        if prepare is not None:
            self._prepare = prepare
        self._flushed_at = asyncio.get_running_loop().time()
        await self._close_idle()

    async def close(self) -> None:
        """Connections that are out are closed when they come back."""
        self._is_closed = True
        if self._pruner is not None:
            self._pruner.cancel()
        await self._close_idle()

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
        born = self._born.pop(conn)
        try:
            if conn.is_usable and conn.transaction_status != pq.TransactionStatus.IDLE:
                await conn.run([_ROLLBACK])
        except (errors.DatabaseError, errors.PgrestError):
            await conn.close()
        finally:
            self._leave_place()
            if self._has_lost_statements(conn):
                self._is_transaction_pooled = None
                await conn.close()
            if conn.is_usable and conn.keeps_formats and self._may_live_on(born):
                self._keep_idle(conn, born)
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
                self._timeouts += 1
                place.set_exception(errors.pool_timeout())
        if self._waiting:
            self._expiry = loop.call_at(self._waiting[0][0], self._expire)

    async def _idle_or_new(self) -> Connection:
        while self._idle:
            idle = self._idle.pop()
            if idle.conn.is_usable and self._may_live_on(idle.born):
                self._born[idle.conn] = idle.born
                return idle.conn
            await idle.conn.close()
        conn = await self._connect()
        self._born[conn] = asyncio.get_running_loop().time()
        return conn

    async def _connect(self) -> Connection:
        """The first one shows whether statements may be prepared: a transaction pooler would lose them."""
        if not self._prepare:
            return await self._dial()
        if self._is_transaction_pooled is None:
            async with self._finding_out:
                if self._is_transaction_pooled is None:
                    return await self._find_out()
        return await self._dial(prepare=not self._is_transaction_pooled)

    async def _find_out(self) -> Connection:
        conn = await self._dial()
        try:
            self._is_transaction_pooled = await is_transaction_pooled(conn, self._dial)
        except BaseException:
            await conn.close()
            raise
        if not conn.is_usable:
            await conn.close()
            conn = await self._dial()
        conn.prepares = not self._is_transaction_pooled
        return conn

    def _has_lost_statements(self, conn: Connection) -> bool:
        """Then it is found out anew whether a pooler is in between: it may have come later, or have hidden well."""
        return self._prepare and self._is_transaction_pooled is False and not conn.prepares

    async def _dial(self, *, prepare: bool = False) -> Connection:
        dsn = self._dsn if isinstance(self._dsn, str) else await self._dsn()
        try:
            return await Connection.connect(
                dsn,
                timeout=self._connect_seconds,
                application_name=self._application_name,
                prepare=prepare,
            )
        except psycopg.Error as error:
            raise errors.cannot_connect(str(error).strip()) from error

    # Ages -----------------------------------------------------------------------------------------------

    def _may_live_on(self, born: float) -> bool:
        if self._is_closed or born <= self._flushed_at:
            return False
        return self._lifetime_seconds is None or asyncio.get_running_loop().time() < born + self._lifetime_seconds

    def _keep_idle(self, conn: Connection, born: float) -> None:
        self._idle.append(_Idle(conn, born, asyncio.get_running_loop().time()))
        if self._pruner is None or self._pruner.done():
            self._pruner = asyncio.create_task(self._prune())

    async def _prune(self) -> None:
        """Close what has been idle too long or is too old, until nothing is idle."""
        while self._idle:
            now = asyncio.get_running_loop().time()
            due = [idle for idle in self._idle if self._ends_at(idle) <= now]
            if not due:
                await asyncio.sleep(min(map(self._ends_at, self._idle)) - now)
                continue
            self._idle = [idle for idle in self._idle if idle not in due]
            for idle in due:
                await idle.conn.close()

    def _ends_at(self, idle: _Idle) -> float:
        unused = idle.since + self._idle_seconds
        return unused if self._lifetime_seconds is None else min(unused, idle.born + self._lifetime_seconds)

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for one in idle:
            await one.conn.close()


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
