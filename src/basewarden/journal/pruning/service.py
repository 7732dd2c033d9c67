"""Prunes the journal: sessions expire first, then their mutations, writes and rows are deleted.

A session is kept as a whole while it was used within the window, while a write of it is pending or unknown, while an
undo of it runs, and while any of that is true for its undos.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import psycopg
import structlog

from basewarden.db import (
    LOCK_TIMEOUT,
    Database,
    Pruner,
    WriteSession,
    bound_lock_waits,
    connect_alone,
    in_batches,
    pause_after_work,
)
from basewarden.journal.interventions.pruning import prune_interventions
from basewarden.journal.pruning import queries
from basewarden.journal.refusals.pruning import prune_refusals

SESSIONS_PER_PAGE = 200
MONTH_TRIES = 20
"""About ten seconds in all; a month that is read for longer is retried in the next run."""
_log = structlog.get_logger()

DeleteOf = Callable[[WriteSession, Sequence[UUID], int], Awaitable[int]]


def list_journal_pruners(keep: timedelta) -> tuple[Pruner, ...]:
    """Returns the pruners in order: a row is deleted before the rows that it refers to."""
    return (
        Pruner("journal_mutations", keep, prune_mutations),
        Pruner("journal_writes", keep, prune_writes),
        Pruner("journal_sessions", keep, prune_sessions),
        Pruner("journal_refusals", keep, prune_refusals),
        Pruner("journal_interventions", keep, prune_interventions),
    )


async def prune_mutations(database: Database, keep: timedelta, batch: int) -> int:
    await expire_idle(database, keep)
    months = await drop_past_months(database, keep)
    return months + await _prune_expired(database, queries.delete_mutations, batch)


async def prune_writes(database: Database, keep: timedelta, batch: int) -> int:  # noqa: ARG001 - only expired sessions are pruned
    return await _prune_expired(database, queries.delete_writes, batch)


async def prune_sessions(database: Database, keep: timedelta, batch: int) -> int:
    return await in_batches(queries.delete_sessions)(database, keep, batch)


async def expire_idle(database: Database, keep: timedelta) -> int:
    """Expires idle sessions, each tried once; locked or protected ones are left for the next run."""
    expired, after = 0, queries.FIRST_ID
    while True:
        async with database.unit_of_work() as unit:
            await bound_lock_waits(unit)
            idle = await queries.list_idle_sessions(unit, keep, after=after, limit=SESSIONS_PER_PAGE)
            if not idle:
                return expired
            expired += await queries.expire_sessions(unit, idle, keep)
        after = idle[-1]


async def _prune_expired(database: Database, delete_of: DeleteOf, batch: int) -> int:
    """Prunes sessions page by page, so that no batch reads finished ones again."""
    total, after = 0, queries.FIRST_ID
    while True:
        async with database.read_only() as session:
            page = await queries.list_expired_sessions(session, after=after, limit=SESSIONS_PER_PAGE)
        if not page:
            return total
        total += await in_batches(_bind(delete_of, page))(database, timedelta(), batch)
        after = page[-1]


def _bind(delete_of: DeleteOf, sessions: Sequence[UUID]) -> Callable[[WriteSession, timedelta, int], Awaitable[int]]:
    async def delete(session: WriteSession, _: timedelta, limit: int) -> int:
        return await delete_of(session, sessions, limit)

    return delete


async def drop_past_months(database: Database, keep: timedelta) -> int:
    """Drops the months in which no session needs a row; returns how many rows they had."""
    rows = 0
    async with connect_alone(database) as connection:
        await queries.set_lock_timeout(connection, LOCK_TIMEOUT)
        for name in await queries.list_detached_months(connection):
            rows += await _drop(connection, name)
        for month in await queries.list_past_months(connection, keep):
            if await queries.is_needed(connection, month):
                continue
            if not await _detach(connection, month):
                break  # PostgreSQL detaches one at a time: this one is the first of the next run
            rows += await _drop(connection, month)
    return rows


async def _detach(connection: psycopg.AsyncConnection, month: str) -> bool:
    await queries.mark_for_drop(connection, month)
    return await _retry_lock(lambda: queries.detach_month(connection, month), month)


async def _drop(connection: psycopg.AsyncConnection, name: str) -> int:
    """Drops a detached month; locks on the table of writes may delay that."""
    rows = await queries.count_rows(connection, name)
    await queries.truncate_month(connection, name)
    if await _retry_lock(lambda: queries.drop_month(connection, name), name):
        _log.info("journal.month_dropped", month=name, rows=rows)
    return rows


async def _retry_lock(step: Callable[[], Awaitable[None]], month: str) -> bool:
    for _ in range(MONTH_TRIES):
        started = time.monotonic()
        try:
            await step()
        except psycopg.errors.LockNotAvailable:
            await pause_after_work(started)
        else:
            return True
    _log.info("journal.month_waits", month=month)
    return False
