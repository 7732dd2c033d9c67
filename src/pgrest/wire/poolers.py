"""Detects a pooler that gives each transaction another server session: by what it does, not its name.

A server sends the number of its process at connect. A pooler makes one up, and then other connections, each in a
transaction, show whether one was given the process that was ours. More than one, since the pooler serves others
meanwhile: ours may be taken by a stranger and come back to us in time.

Ask only on connections that prepare nothing: other clients' statements may be in the sessions behind a pooler.
"""

import asyncio
from collections.abc import Awaitable, Callable

from pgrest.errors import DatabaseError, PgrestError
from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection, Rows

_WHO = Statement("SELECT pg_catalog.pg_backend_pid()")
_BEGIN = Statement("BEGIN")
_TIMEOUT_SECONDS = 2.0
_OTHERS = 3
_MOST_DIGITS = 10


async def is_direct(conn: DbConnection) -> bool:
    return await _ask_process(conn) == conn.backend_pid


async def is_transaction_pooled(conn: DbConnection, connect: Callable[[], Awaitable[DbConnection]]) -> bool:
    """True also in doubt. May cost `conn`, where the pooler has one server session for all."""
    ours = await _ask_process(conn)
    if ours == conn.backend_pid:
        return False
    others: list[DbConnection] = []
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            for _ in range(_OTHERS):
                other = await connect()
                others.append(other)
                _, rows = await other.run([_BEGIN, _WHO])
                if _read_process(rows) == ours or await _ask_process(conn) != ours:
                    return True
    except (TimeoutError, DatabaseError, PgrestError):
        return True  # ours waits for the others' end, there are no transactions at all, or no more connections
    finally:
        for other in others:
            await other.close()
    return False


async def _ask_process(conn: DbConnection) -> int:
    (rows,) = await conn.run([_WHO])
    return _read_process(rows)


def _read_process(rows: Rows) -> int:
    """0 where that is no number: what answers is no PostgreSQL."""
    number = rows.value(0, 0) or b""
    return int(number) if number.isdigit() and len(number) <= _MOST_DIGITS else 0
