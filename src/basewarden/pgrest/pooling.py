"""Whether a pooler stands in between that gives each transaction another server session: by what it does, not its name.

A server greets with the number of its process. A pooler makes one up, and then a second connection in a transaction
shows whether it was given the process that was ours.
"""

import asyncio
from collections.abc import Awaitable, Callable

from basewarden.pgrest.errors import DatabaseError
from basewarden.pgrest.sql import Statement
from basewarden.pgrest.wire import Connection

_WHO = Statement("SELECT pg_backend_pid()")
_BEGIN = Statement("BEGIN")
_PATIENCE_SECONDS = 2.0


async def is_direct(conn: Connection) -> bool:
    return await _ask_process(conn) == conn.backend_pid


async def is_transaction_pooled(conn: Connection, connect: Callable[[], Awaitable[Connection]]) -> bool:
    """May cost `conn`, where the pooler has one server session for both."""
    ours = await _ask_process(conn)
    if ours == conn.backend_pid:
        return False
    other = await connect()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, rows = await other.run([_BEGIN, _WHO])
            theirs = int(rows.value(0, 0) or 0)
            return theirs == ours or await _ask_process(conn) != ours
    except (TimeoutError, DatabaseError):
        return True  # ours waits for the other's end, or there are no transactions at all
    finally:
        await other.close()


async def _ask_process(conn: Connection) -> int:
    (rows,) = await conn.run([_WHO])
    return int(rows.value(0, 0) or 0)
