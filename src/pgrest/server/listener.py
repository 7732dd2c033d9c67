"""Hears `NOTIFY` on a connection of its own, and comes back whenever that is lost."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import make_conninfo

from pgrest.errors import DatabaseError, PgrestError
from pgrest.server.errors import GivingUpError
from pgrest.server.log import Log
from pgrest.sql.text import Statement, quote_ident
from pgrest.wire.connection import DbConnection, Notification

_LONGEST_PAUSE = 32
_STUCK = "could not access status of transaction"
_UNSTICK = Statement("SELECT pg_notification_queue_usage()")  # moves a queue on that a fault of PostgreSQL holds up


@dataclass(frozen=True, slots=True)
class ReloadListener:
    """`hear` gets each payload, `on_change` 1 when we begin to listen and 0 when that is lost.

    Where it does not recover, the first loss is the end.
    """

    dsn: str
    channel: str
    application_name: str
    log: Log
    hear: Callable[[str], None]
    on_change: Callable[[float], None]
    recovers: Callable[[], bool]

    async def run(self) -> None:
        pause, is_stuck = 1, False
        while True:
            try:
                conn = await self._connect(is_stuck=is_stuck)
            except (psycopg.Error, DatabaseError, PgrestError) as error:
                is_stuck = _STUCK in str(error)
                self._log(f'Failed listening for database notifications on the "{self.channel}" channel. {error}')
            else:
                pause, is_stuck = 1, False
                await self._stay(conn)
            if not self.recovers():
                raise GivingUpError("The database cannot be reached and automatic recovery is off.")
            self._log(f"Retrying listening for database notifications in {pause} seconds...")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _connect(self, *, is_stuck: bool) -> DbConnection:
        """`NOTIFY` is of primaries alone: where several hosts are given, to one that may be written to."""
        dsn = make_conninfo(self.dsn, target_session_attrs="read-write")
        conn = await DbConnection.connect(dsn, application_name=self.application_name, prepare=False)
        conn.on_notify = self._take
        try:
            await conn.run([*([_UNSTICK] if is_stuck else []), Statement(f"LISTEN {quote_ident(self.channel)}")])
        except BaseException:
            await conn.close()
            raise
        return conn

    async def _stay(self, conn: DbConnection) -> None:
        self._log(f'Listening for database notifications on the "{self.channel}" channel')
        self.on_change(1)
        try:
            await conn.wait_closed()
        finally:
            self.on_change(0)
            await conn.close()

    def _take(self, notification: Notification) -> None:
        self.hear(notification.payload)

    def _log(self, text: str) -> None:
        self.log.write(text)
