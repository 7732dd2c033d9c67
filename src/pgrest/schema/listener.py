"""Hears `NOTIFY pgrst` on a connection of its own, where there is one to hear it on."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import psycopg

from pgrest.errors import DatabaseError, PgrestError
from pgrest.sql.text import Statement
from pgrest.wire.connection import DbConnection, Notification
from pgrest.wire.poolers import is_direct

Address = str | Callable[[], Awaitable[str]]
"""A DSN, or whom to ask for it at every connect."""

_LISTEN = Statement("LISTEN pgrst")
_RETRY_SECONDS = 5.0
_PAYLOADS = ("", "reload schema", "reload config")


async def keep_listening(address: Address, on_reload: Callable[[], None]) -> None:
    """Listens until it is cancelled, or the address turns out to be a pooler's, where notifications do not arrive."""
    while True:
        with contextlib.suppress(psycopg.Error, DatabaseError, PgrestError):
            if not await _listen_once(address, on_reload):
                return
        await asyncio.sleep(_RETRY_SECONDS)


async def _listen_once(address: Address, on_reload: Callable[[], None]) -> bool:
    """Until the connection ends. False where it is not a server that answers."""

    def hear(notification: Notification) -> None:
        if notification.payload in _PAYLOADS:
            on_reload()

    dsn = address if isinstance(address, str) else await address()
    conn = await DbConnection.connect(dsn, application_name="basewarden-listen", prepare=False, guarded=True)
    conn.on_notify = hear
    try:
        if not await is_direct(conn):
            return False
        await conn.run([_LISTEN])
        on_reload()  # what was said before is lost
        await conn.wait_closed()
        return True
    finally:
        await conn.close()
