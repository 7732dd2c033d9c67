"""Checks whether this deployment works, for load balancers, monitors and the status page.

The check uses a db connection of its own: a busy pool is not a dead database. A database that does not respond within
`ANSWER_SECONDS` counts as down, whether it refuses, is frozen, or is behind a network that drops packets.
"""

import asyncio
import contextlib
from dataclasses import dataclass

import psycopg
import structlog

from basewarden import __version__
from basewarden.core.secret import Secret
from basewarden.db import driver_dsn
from basewarden.operations.coalesced_call import CoalescedCall
from basewarden.operations.queries import PING
from basewarden.settings import Settings
from pgrest import DatabaseError, DbConnection, PgrestError

HEALTH_PATH, LIVE_PATH = "/api/health", "/api/health/live"
KEEP_SECONDS = 1.0
ANSWER_SECONDS = 1.5
_PING_SECONDS = 0.5  # on the kept connection; the rest is for a new one
_TIMEOUT_SECONDS = ANSWER_SECONDS + 0.2
_SILENT = (TimeoutError, OSError, psycopg.Error, DatabaseError, PgrestError)
_log = structlog.get_logger()


@dataclass(frozen=True)
class Configured:
    """The optional parts that this deployment has."""

    email: bool
    billing: bool
    observability: bool

    @classmethod
    def read(cls, settings: Settings) -> "Configured":
        return cls(
            email=settings.smtp_url is not None,
            billing=bool(settings.dodo_api_key and settings.dodo_webhook_secret),
            observability=bool(settings.sentry_dsn or settings.otel_endpoint),
        )


@dataclass(frozen=True)
class HealthReport:
    db: bool
    configured: Configured
    version: str = __version__

    @property
    def status(self) -> str:
        return "ok" if self.db else "degraded"


class Health:
    def __init__(self, database_url: Secret, configured: Configured) -> None:
        self._dsn = driver_dsn(database_url)
        self._configured = configured
        self._connection: DbConnection | None = None
        self._was_up = True
        self._call = CoalescedCall(self._ask, keep_seconds=KEEP_SECONDS, timeout_seconds=_TIMEOUT_SECONDS)

    async def report(self) -> HealthReport:
        return HealthReport(await self.is_database_up(), self._configured)

    async def is_database_up(self) -> bool:
        return bool(await self._call.get())

    async def stop(self) -> None:
        await self._call.stop()
        await self._disconnect()

    async def _ask(self) -> bool:
        """On the connection that the last check left open, otherwise on a new one."""
        is_up = await self._ping() or await self._connect()
        if is_up != self._was_up:
            self._was_up = is_up
            _log.warning("health.changed", database_is_up=is_up)
        return is_up

    async def _ping(self) -> bool:
        if self._connection is None:
            return False
        try:
            async with asyncio.timeout(_PING_SECONDS):
                await self._connection.run([PING])
        except _SILENT:
            await self._disconnect()
            return False
        return True

    async def _connect(self) -> bool:
        """A session that could sign in is enough; no query is needed."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS - _PING_SECONDS):
                self._connection = await DbConnection.connect(
                    self._dsn, application_name="basewarden health", prepare=False
                )
        except _SILENT:
            return False
        return True

    async def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError, psycopg.Error):
                await self._connection.close()
            self._connection = None
