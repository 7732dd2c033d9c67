"""Keeps the snapshot of one database, and notices when the database has changed.

Requests take the current snapshot. While there are requests, the catalogue's version is checked twice a second or so,
and a changed one brings a fresh snapshot, in the background; the first request after a rest waits for one such check.
A request that fails over something which a fresh snapshot might know checks at once. Requests that ask meanwhile share
the answer, and the next check waits ten times as long as the last one took the server, so that no client can keep a
database busy by naming what does not exist.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from pgrest.errors import DatabaseError, PgrestError, no_schema_cache
from pgrest.schema.listener import Address, keep_listening
from pgrest.schema.model import Schema
from pgrest.schema.refresher import Loaded, SchemaRefresher, release
from pgrest.wire.places import NO_LIMITS, Terms
from pgrest.wire.pool import Pool

# What may come of planning on an outdated snapshot: something unknown, ambiguous or of another kind...
_STALE = frozenset(
    {
        "PGRST105",
        "PGRST107",
        "PGRST118",
        "PGRST200",
        "PGRST201",
        "PGRST202",
        "PGRST203",
        "PGRST204",
        "PGRST205",
        "0A000",
        "42703",
        "42704",
        "42804",
        "42809",
        "42846",
        "42883",
        "42P01",
        "42P10",
    }
)
# ...and what mostly comes of the values: worth a question only where it need not wait for one.
_PERHAPS_STALE = frozenset({"22001", "22003", "22P02"})

_CHECK_SECONDS = 0.4
_AWAKE_SECONDS = 3.0
_LINGER_SECONDS = 60.0
_SETTLE_SECONDS = 5.0  # whose requests come but once needs no connection to listen on
_FIRST_CHECK_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 5.0  # of a request that has its error already
_LONGEST_BACKOFF = 10.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.01, 0.5
_PAUSE_PER_COST = 10


class SchemaCache:
    """`get` answers from memory, but for the first time, and after a rest, when it first makes sure."""

    def __init__(
        self,
        pool: Pool,
        schemas: Sequence[str],
        extra_search_path: Sequence[str] = (),
        *,
        check_seconds: float = _CHECK_SECONDS,
        on_load: Callable[[Loaded], None] | None = None,
        expects: tuple[type[Exception], ...] = (),
        terms: Terms = NO_LIMITS,
    ) -> None:
        """`expects`: what the pool may raise over its address besides the errors of this package."""
        self._pool = pool
        self._terms = terms
        self._expected: tuple[type[Exception], ...] = (DatabaseError, PgrestError, *expects)
        self._check_seconds = check_seconds
        self._freshness = SchemaRefresher(schemas, extra_search_path, on_load)
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._next_is_whole = False
        self._free_at = 0.0
        self._used_at = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._waking: asyncio.Task[None] | None = None
        self._address: Address | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def get(self) -> Schema:
        now = _now()
        rested, self._used_at = now - self._used_at, now
        if self._freshness.current is None:
            await self._confirm(whole=True)
        elif rested > _AWAKE_SECONDS and not self._is_closed:
            self._waking = self._spawn(self._confirm_quietly())
        if self._watch is None and not self._is_closed:
            self._watch = self._spawn(self._keep_watching())
        if self._waking is not None and not self._waking.done():
            await asyncio.wait([self._waking], timeout=_FIRST_CHECK_SECONDS)
        return self._require()

    async def reload(self) -> Schema:
        """As the database is now: nothing is read again that has not changed."""
        await self._confirm(whole=True)
        return self._require()

    async def is_changed(self, seen: Schema, error: PgrestError | DatabaseError) -> bool:
        """Whether `error` may come from planning on a stale snapshot: then `get` has a newer one now."""
        code = error.code if isinstance(error, PgrestError) else error.sqlstate
        may_wait = code in _STALE
        if not may_wait and not (code in _PERHAPS_STALE and self._is_free()):
            return False
        if self._require() is seen:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                    await self._confirm_quietly(whole=True)
        return self._require() is not seen

    def listen(self, address: Address, *, while_used: bool = False) -> None:
        """Also check on `NOTIFY pgrst`, heard on a connection of its own: always, or only while there are requests."""
        if while_used:
            self._address = address
        else:
            self._spawn(keep_listening(address, self._hear))

    async def close(self) -> None:
        """Requests that are under way still have their snapshot."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _require(self) -> Schema:
        if self._freshness.current is None:
            raise no_schema_cache()
        return self._freshness.current.schema

    # Checking -------------------------------------------------------------------------------------------

    async def _confirm(self, *, whole: bool) -> None:
        """By a check that begins after this call. Everybody who waits for its turn shares it, and its failure."""
        if self._is_closed:
            raise no_schema_cache()
        self._next_is_whole |= whole
        if self._next is None:
            self._next = self._spawn(self._check())
        check = self._next
        try:
            await asyncio.shield(check)
        except asyncio.CancelledError:
            this = asyncio.current_task()
            if not check.cancelled() or (this is not None and this.cancelling()):
                raise
            raise no_schema_cache() from None

    async def _confirm_quietly(self, *, whole: bool = False) -> None:
        """What goes wrong here the next request meets itself."""
        with contextlib.suppress(*self._expected):
            await self._confirm(whole=whole)

    async def _check(self) -> None:
        async with self._turn:
            await asyncio.sleep(max(0.0, self._free_at - _now()))
            whole, self._next_is_whole, self._next = self._next_is_whole, False, None
            before = self._freshness.current
            try:
                async with self._pool.acquire(self._terms) as conn:
                    await self._freshness.check(conn, whole=whole)
                if before is not None and before is not self._freshness.current:
                    self._spawn(release(before))
            except DatabaseError as error:
                raise no_schema_cache(error.message) from error
            finally:
                pause = min(max(_PAUSE_PER_COST * self._freshness.cost, _SHORTEST_PAUSE), _LONGEST_PAUSE)
                self._free_at = _now() + pause

    def _is_free(self) -> bool:
        return self._next is None and not self._turn.locked() and _now() >= self._free_at

    # Watching -------------------------------------------------------------------------------------------

    async def _keep_watching(self) -> None:
        """Checks only while there are requests: an idle project neither queries its database nor keeps it awake."""
        since, backoff = _now(), 0.0
        listening = None
        try:
            while (rested := _now() - self._used_at) < _LINGER_SECONDS:
                await asyncio.sleep(max(self._check_seconds, self._freshness.pause, backoff))
                if rested >= _AWAKE_SECONDS:
                    continue
                backoff = await self._check_on_time(backoff)
                if listening is None and self._address is not None and _now() - since > _SETTLE_SECONDS:
                    listening = self._spawn(keep_listening(self._address, self._hear))
        finally:
            self._watch = None
            if listening is not None:
                listening.cancel()

    async def _check_on_time(self, backoff: float) -> float:
        """How long to leave a database alone that did not answer."""
        try:
            await self._confirm(whole=False)
        except self._expected:
            return min(max(2 * backoff, self._check_seconds), _LONGEST_BACKOFF)
        return 0.0

    def _hear(self) -> None:
        self._spawn(self._confirm_quietly(whole=True))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Reports an unexpected error to the event loop; an expected one is the concern of the caller that waited."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, self._expected):
            facts = {"message": "The schema cache failed", "exception": error, "task": task}
            asyncio.get_running_loop().call_exception_handler(facts)


def _now() -> float:
    return asyncio.get_running_loop().time()
