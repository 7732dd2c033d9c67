"""First sessions expire, and are nobody's any more; then what they wrote goes, then they themselves.

A session stays as a whole for as long as anything of it may be needed: while it was used within the window, while a
write of it is pending or unknown, while an undo of it runs, and while any of that is true of its undos.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import psycopg
import structlog

from basewarden.db import Database, WriteSession
from basewarden.db.pruning import LOCK_TIMEOUT, Pruner, bound_lock_waits, connect_alone, in_batches, rest
from basewarden.journal.pruning import queries
from basewarden.journal.refusals.pruning import prune_refusals

SESSIONS_AT_ONCE = 200
MONTH_TRIES = 20
"""About ten seconds in all; a month that somebody reads for longer waits for the next run."""
_log = structlog.get_logger()

DeleteOf = Callable[[WriteSession, Sequence[UUID], int], Awaitable[int]]


def list_journal_pruners(keep: timedelta) -> tuple[Pruner, ...]:
    """In this order: what refers to something goes before it."""
    return (
        Pruner("journal_mutations", keep, prune_mutations),
        Pruner("journal_writes", keep, prune_writes),
        Pruner("journal_sessions", keep, prune_sessions),
        Pruner("journal_refusals", keep, prune_refusals),
    )


async def prune_mutations(database: Database, keep: timedelta, batch: int) -> int:
    await expire_idle(database, keep)
    months = await drop_past_months(database, keep)
    return months + await _prune_expired(database, queries.delete_mutations, batch)


async def prune_writes(database: Database, keep: timedelta, batch: int) -> int:  # noqa: ARG001 - what expired, expired
    return await _prune_expired(database, queries.delete_writes, batch)


async def prune_sessions(database: Database, keep: timedelta, batch: int) -> int:
    return await in_batches(queries.delete_sessions)(database, keep, batch)


async def expire_idle(database: Database, keep: timedelta) -> int:
    """Each session once: what is held or needed is left for the next run."""
    expired, after = 0, queries.NOBODY
    while True:
        async with database.unit_of_work() as unit:
            await bound_lock_waits(unit)
            idle = await queries.list_idle_sessions(unit, keep, after=after, limit=SESSIONS_AT_ONCE)
            if not idle:
                return expired
            expired += await queries.expire_sessions(unit, idle, keep)
        after = idle[-1]


async def _prune_expired(database: Database, delete_of: DeleteOf, batch: int) -> int:
    """So many sessions at a time, so that no batch looks again at those that are done."""
    total, after = 0, queries.NOBODY
    while True:
        async with database.read_only() as session:
            page = await queries.list_expired_sessions(session, after=after, limit=SESSIONS_AT_ONCE)
        if not page:
            return total
        total += await in_batches(_bind(delete_of, page))(database, timedelta(), batch)
        after = page[-1]


def _bind(delete_of: DeleteOf, sessions: Sequence[UUID]) -> Callable[[WriteSession, timedelta, int], Awaitable[int]]:
    async def delete(session: WriteSession, _: timedelta, limit: int) -> int:
        return await delete_of(session, sessions, limit)

    return delete


async def drop_past_months(database: Database, keep: timedelta) -> int:
    """The rows of the months that nobody needs any more; a month in which one is needed stays."""
    rows = 0
    async with connect_alone(database) as connection:
        await queries.bound_waits(connection, LOCK_TIMEOUT)
        for name in await queries.list_loose_months(connection):
            rows += await _drop(connection, name)
        for month in await queries.list_past_months(connection, keep):
            if await queries.is_needed(connection, month):
                continue
            if not await _take_off(connection, month):
                break  # PostgreSQL takes off one at a time: this one is the first of the next run
            rows += await _drop(connection, month)
    return rows


async def _take_off(connection: psycopg.AsyncConnection, month: str) -> bool:
    await queries.note_leaving(connection, month)
    return await _try_for_a_while(lambda: queries.detach(connection, month), month)


async def _drop(connection: psycopg.AsyncConnection, name: str) -> int:
    """Nobody can see it any more; what stands in the way are locks on the table of writes."""
    rows = await queries.count_rows(connection, name)
    await queries.empty(connection, name)
    if await _try_for_a_while(lambda: queries.drop(connection, name), name):
        _log.info("journal.month_dropped", month=name, rows=rows)
    return rows


async def _try_for_a_while(step: Callable[[], Awaitable[None]], month: str) -> bool:
    for _ in range(MONTH_TRIES):
        started = time.monotonic()
        try:
            await step()
        except psycopg.errors.LockNotAvailable:
            await rest(started)
        else:
            return True
    _log.info("journal.month_waits", month=month)
    return False
