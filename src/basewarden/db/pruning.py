"""Deletes old rows in small batches, so that other work on these tables is not delayed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg
import structlog
from sqlalchemy import ColumnElement, CursorResult, delete, select, text
from sqlalchemy.exc import OperationalError

from basewarden.db.base import Base
from basewarden.db.engine import CONNECT_TIMEOUT_SECONDS, Database, WriteSession, driver_dsn
from basewarden.errors import Unavailable

LOCK_TIMEOUT = "250ms"
"""Limits how long a transaction behind us in the queue for a lock waits because of us."""
TRIES = 5
_log = structlog.get_logger()

Prune = Callable[[Database, timedelta, int], Awaitable[int]]
DeleteSome = Callable[[WriteSession, timedelta, int], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Pruner:
    """Deletes rows of one table of a feature that are older than `keep`; `prune` returns their number.

    It is safe to cancel, to repeat, and to run twice at the same time.
    """

    table: str
    keep: timedelta
    prune: Prune


def in_batches(delete_some: DeleteSome) -> Prune:
    """Makes a `Prune` that calls `delete_some` in one unit of work after the other until it deletes no row."""

    async def prune(database: Database, keep: timedelta, batch: int) -> int:
        total, tries = 0, TRIES
        while tries:
            started = time.monotonic()
            try:
                async with database.unit_of_work() as unit:
                    await bound_lock_waits(unit)
                    rows = await delete_some(unit, keep, batch)
            except OperationalError as error:
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable):
                    raise
                tries -= 1
                _log.info("pruning.waited", what=delete_some.__name__, tries=tries)
            else:
                if not rows:
                    break
                total, tries = total + rows, TRIES
            await pause_after_work(started)
        return total

    return prune


async def pause_after_work(started: float) -> None:
    """Waits as long as the work took, so that at least half of the time is left for other work."""
    await asyncio.sleep(time.monotonic() - started)


async def bound_lock_waits(session: WriteSession) -> None:
    await session.execute(text("SELECT set_config('lock_timeout', :most, true)"), {"most": LOCK_TIMEOUT})


async def delete_some(session: WriteSession, table: type[Base], which: ColumnElement[bool], limit: int) -> int:
    """Deletes at most `limit` rows. Locked rows are skipped, so that it does not wait."""
    keys = tuple(table.__table__.primary_key)
    chosen = select(*keys).where(which).limit(limit).with_for_update(skip_locked=True).cte("chosen")
    query = delete(table).where(*(key == chosen.c[key.name] for key in keys))
    result = await session.execute(query, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)
    return result.rowcount


@asynccontextmanager
async def only_one(database: Database, key: int) -> AsyncIterator[bool]:
    """Yields whether this is the only holder of the lock, which is on a connection of its own and ends with it."""
    async with connect_alone(database) as connection:
        row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", (key,))).fetchone()
        yield bool(row and row[0])


@asynccontextmanager
async def connect_alone(database: Database) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection outside of the pool and without a transaction, for statements that need that."""
    try:
        connection = await psycopg.AsyncConnection.connect(
            driver_dsn(database.url),
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            application_name="basewarden pruning",
        )
    except psycopg.OperationalError as error:
        _log.warning("database.away", reason=type(error).__name__)
        raise Unavailable from error
    async with connection:
        yield connection
