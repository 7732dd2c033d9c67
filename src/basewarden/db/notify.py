"""Tells all processes at once that something they may have cached has changed."""

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.core.secret import Secret
from basewarden.core.tasks import end_task
from basewarden.db.engine import driver_dsn

_CHANNEL = "basewarden"
_RECONNECT_SECONDS = 1.0
_log = structlog.get_logger()

Handler = Callable[[str], None]


async def notify(session: AsyncSession, topic: str, payload: str) -> None:
    """Reaches every listener if and only if the unit of work commits."""
    channel, message = make_notification(topic, payload)
    await session.execute(text("SELECT pg_notify(:channel, :message)"), {"channel": channel, "message": message})


def make_notification(topic: str, payload: str) -> tuple[str, str]:
    """Returns channel and message, for code that has a connection of its own."""
    return _CHANNEL, f"{topic}:{payload}"


class Listener:
    """Holds one LISTEN connection. A handler gets each payload of its topic, and "" if some may have been missed."""

    def __init__(self, database_url: Secret) -> None:
        self._dsn = driver_dsn(database_url)
        self._handlers: dict[str, list[Handler]] = {}
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.is_listening = False

    def on(self, topic: str, handler: Handler) -> None:
        self._handlers.setdefault(topic, []).append(handler)

    async def announce(self, session: AsyncSession, topic: str, payload: str) -> None:
        """Calls the handlers of this process at the commit of the unit of work, and those of the others right after."""
        await notify(session, topic, payload)
        event.listen(session.sync_session, "after_commit", lambda _: self._dispatch(topic, payload), once=True)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="listener")
        await self._ready.wait()

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                _log.warning("listener.lost", reason=type(error).__name__)
            self._ready.set()  # an unavailable database must not delay the start
            self._report_missed()
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True) as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(_CHANNEL)))
            self._report_missed()
            self._ready.set()
            self.is_listening = True
            try:
                async for message in connection.notifies():
                    topic, _, payload = message.payload.partition(":")
                    self._dispatch(topic, payload)
            finally:
                self.is_listening = False

    def _dispatch(self, topic: str, payload: str) -> None:
        for handler in self._handlers.get(topic, ()):
            handler(payload)

    def _report_missed(self) -> None:
        for topic in self._handlers:
            self._dispatch(topic, "")
