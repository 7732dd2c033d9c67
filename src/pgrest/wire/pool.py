"""A few connections to one database, lent one task at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from types import TracebackType

import psycopg

from pgrest import errors
from pgrest.wire.budget import MemoryBudget, Meter
from pgrest.wire.connection import DbConnection
from pgrest.wire.places import NO_LIMITS, Places, Terms
from pgrest.wire.poolers import is_transaction_pooled
from pgrest.wire.resetting import MAY_UNLOCK, roll_back

_CANCELED = "57014"
_GRACE_SECONDS = 5.0
"""A server that does not stop a statement by itself when its time is over has so long."""
_LOOK_SECONDS = 0.5
_ROLLBACK_SECONDS = 10.0
_GETTING_READY_SECONDS = 5.0
"""for what a new connection is asked before it is lent"""


@dataclass(frozen=True, slots=True)
class PoolFigures:
    open: int
    in_use: int
    waiting: int
    timeouts: int
    """How many waited in vain, ever."""


@dataclass(slots=True)
class _Member:
    """A connection, which is idle or lent since `since`. `until` None means that a loan may take as long as it takes.

    Kept as long as the connection, because to make one for each loan would cost every request.
    """

    conn: DbConnection
    born: float
    since: float
    terms: Terms = NO_LIMITS
    holder: Hashable = None
    until: float | None = None


class Pool:
    """Connections are made when needed, at most `max_size`, and closed after `idle_seconds` without use.

    One that is older than `lifetime_seconds` is closed as soon as it is not in use. `dsn` may be asked for again at
    every connect: its host may have moved, or be refused by now. Of a `guarded` pool's server nothing is trusted, and
    what its answers hold in memory counts against `budget`; its host is given by numbers.
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
        guarded: bool = False,
        budget: MemoryBudget | None = None,
    ) -> None:
        self._dsn = dsn
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._lifetime_seconds = lifetime_seconds
        self._prepare = prepare
        self._is_transaction_pooled: bool | None = None
        self._finding_out = asyncio.Lock()
        self._application_name = application_name
        self._guarded = guarded
        self._budget = budget
        self._places = Places(max_size, wait_seconds)
        self._idle: list[_Member] = []
        self._lent: dict[DbConnection, _Member] = {}
        self._clock: asyncio.TimerHandle | None = None
        self._flushed_at = float("-inf")
        self._pruner: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def figures(self) -> PoolFigures:
        in_use = len(self._lent)
        return PoolFigures(in_use + len(self._idle), in_use, self._places.waiting, self._places.timeouts)

    def acquire(self, terms: Terms = NO_LIMITS, holder: Hashable = None) -> "Lease":
        """`async with pool.acquire() as conn`. Too long a wait is PGRST003, no connection PGRST000.

        Past the terms' time whatever runs is stopped, and the block raises `query_timeout`.
        """
        return Lease(self, terms, holder)

    async def flush(self, *, prepare: bool | None = None) -> None:
        """From now on only newly made connections are lent; `prepare` is for those."""
        if prepare is not None:
            self._prepare = prepare
        self._flushed_at = time.monotonic()
        await self._close_idle()

    async def close(self) -> None:
        """Connections that are out are closed when they come back."""
        self._is_closed = True
        if self._pruner is not None:
            self._pruner.cancel()
        await self._close_idle()

    async def take(self, terms: Terms, holder: Hashable) -> DbConnection:
        if not self._places.take_free(terms, holder):
            await self._places.take(terms, holder)
        try:
            member = self._idle.pop() if self._idle else None
            if member is None or not self._may_be_lent(member):
                member = await self._find_another(member)
        except BaseException:
            self._places.leave(holder)
            raise
        self._lend(member, terms, holder)
        return member.conn

    def _lend(self, member: _Member, terms: Terms, holder: Hashable) -> None:
        member.since = now = time.monotonic()
        member.terms, member.holder = terms, holder
        member.until = None if terms.seconds is None else now + terms.seconds + _GRACE_SECONDS
        conn = member.conn
        self._lent[conn] = member
        if self._guarded and terms.most_bytes is not None:
            conn.meter = Meter(terms.most_bytes, self._budget)
        if member.until is not None and self._clock is None:
            self._clock = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._end_overdue)

    def _end_overdue(self) -> None:
        """One clock for all that are lent: to start and stop one for each would cost every request."""
        now = time.monotonic()
        for conn, loan in self._lent.items():
            if loan.until is not None and loan.until <= now:
                conn.break_off(errors.query_timeout(loan.terms.seconds or 0))
        loop = asyncio.get_running_loop()
        self._clock = loop.call_later(_LOOK_SECONDS, self._end_overdue) if self._lent else None

    def is_timed_out(self, conn: DbConnection, error: BaseException | None) -> bool:
        """Whether the server has stopped a statement because the time of the loan was over."""
        loan = self._lent[conn]
        is_canceled = isinstance(error, errors.DatabaseError) and error.sqlstate == _CANCELED
        if not is_canceled or loan.terms.seconds is None:
            return False
        return time.monotonic() - loan.since >= loan.terms.seconds

    async def release(self, conn: DbConnection) -> None:
        member = self._lent[conn]
        try:
            if conn.is_tampered:
                await conn.close()
            elif not conn.is_between_transactions and conn.is_usable:
                async with asyncio.timeout(_ROLLBACK_SECONDS):
                    await conn.run(roll_back(conn))
        except (errors.DatabaseError, errors.PgrestError, TimeoutError):
            await conn.close()
        finally:
            del self._lent[conn]
            if conn.meter is not None:
                conn.meter.close()
                conn.meter = None
            self._places.leave(member.holder)
            if self._has_lost_statements(conn):
                self._is_transaction_pooled = None
                await conn.close()
            if conn.is_usable:
                if conn.is_as_made and not conn.is_swollen and self._may_live_on(member.born):
                    self._keep_idle(member)
                else:
                    await conn.close()

    def _may_be_lent(self, member: _Member) -> bool:
        return member.conn.is_usable and self._may_live_on(member.born)

    async def _find_another(self, member: _Member | None) -> _Member:
        """In place of `member`, which is closed: one that is idle, or a new one."""
        while member is not None:
            await member.conn.close()
            member = self._idle.pop() if self._idle else None
            if member is not None and self._may_be_lent(member):
                return member
        try:
            async with asyncio.timeout(self._connect_seconds + _GETTING_READY_SECONDS):
                conn = await self._connect()
        except TimeoutError:
            raise errors.cannot_connect("The database does not answer") from None
        now = time.monotonic()
        return _Member(conn, born=now, since=now)

    async def _connect(self) -> DbConnection:
        """The first one shows whether statements may be prepared: a transaction pooler would lose them."""
        if not self._prepare:
            return await self._open_connection()
        if self._is_transaction_pooled is None:
            async with self._finding_out:
                if self._is_transaction_pooled is None:
                    return await self._find_out()
        return await self._open_connection(prepare=not self._is_transaction_pooled)

    async def _find_out(self) -> DbConnection:
        conn = await self._open_connection()
        try:
            self._is_transaction_pooled = await is_transaction_pooled(conn, self._open_connection)
        except BaseException:
            await conn.close()
            raise
        if not conn.is_usable:
            await conn.close()
            conn = await self._open_connection()
        conn.prepares = not self._is_transaction_pooled
        return conn

    def _has_lost_statements(self, conn: DbConnection) -> bool:
        """If so, the pool checks again whether a pooler is in between: it may have come later, or have hidden well."""
        return self._prepare and self._is_transaction_pooled is False and not conn.prepares

    async def _open_connection(self, *, prepare: bool = False) -> DbConnection:
        dsn = self._dsn if isinstance(self._dsn, str) else await self._dsn()
        try:
            conn = await DbConnection.connect(
                dsn,
                timeout=self._connect_seconds,
                application_name=self._application_name,
                prepare=prepare,
                guarded=self._guarded,
            )
        except psycopg.Error as error:
            raise errors.cannot_connect(str(error).strip()) from error
        if self._guarded:
            await self._get_to_know(conn)
        return conn

    async def _get_to_know(self, conn: DbConnection) -> None:
        """What has to be known of a session before strangers use it."""
        try:
            (rows,) = await conn.run([MAY_UNLOCK])
        except BaseException:
            await conn.close()
            raise
        conn.may_unlock = rows.value(0, 0) == b"t"

    # Ages -----------------------------------------------------------------------------------------------

    def _may_live_on(self, born: float) -> bool:
        if self._is_closed or born <= self._flushed_at:
            return False
        return self._lifetime_seconds is None or time.monotonic() < born + self._lifetime_seconds

    def _keep_idle(self, member: _Member) -> None:
        member.since = time.monotonic()
        self._idle.append(member)
        if self._pruner is None or self._pruner.done():
            self._pruner = asyncio.create_task(self._prune())

    async def _prune(self) -> None:
        """Close what has been idle too long or is too old, until nothing is idle."""
        while self._idle:
            now = time.monotonic()
            due = [idle for idle in self._idle if self._ends_at(idle) <= now]
            if not due:
                await asyncio.sleep(min(map(self._ends_at, self._idle)) - now)
                continue
            self._idle = [idle for idle in self._idle if idle not in due]
            for idle in due:
                await idle.conn.close()

    def _ends_at(self, idle: _Member) -> float:
        unused = idle.since + self._idle_seconds
        return unused if self._lifetime_seconds is None else min(unused, idle.born + self._lifetime_seconds)

    async def _close_idle(self) -> None:
        idle, self._idle = self._idle, []
        for one in idle:
            await one.conn.close()


class Lease:
    __slots__ = ("_conn", "_holder", "_pool", "_terms")

    def __init__(self, pool: Pool, terms: Terms, holder: Hashable) -> None:
        self._pool = pool
        self._terms = terms
        self._holder = holder
        self._conn: DbConnection | None = None

    async def __aenter__(self) -> DbConnection:
        self._conn = await self._pool.take(self._terms, self._holder)
        return self._conn

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._conn is None:
            return
        conn, self._conn = self._conn, None
        is_timed_out = error is not None and self._pool.is_timed_out(conn, error)
        await self._pool.release(conn)
        if is_timed_out:
            raise errors.query_timeout(self._terms.seconds or 0) from error
