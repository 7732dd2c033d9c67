"""Hears which versions of schemas the gateway loads, and passes them on outside of the requests that load them."""

import asyncio
from uuid import UUID

import structlog
from procrastinate.exceptions import ConnectorException
from sqlalchemy.exc import SQLAlchemyError

from basewarden.core.tasks import end_task
from basewarden.errors import AppError
from basewarden.gateway import Projects
from basewarden.sentry.history.recording import SchemaHistory
from basewarden.sentry.watching.service import Watching

_log = structlog.get_logger()


class SchemaNotices:
    """The last version of each connection is enough."""

    def __init__(self, projects: Projects, watching: Watching, history: SchemaHistory) -> None:
        self._note_version = (watching.note_version, history.note_version)
        self._loaded: dict[UUID, str] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        projects.on_schema(self._hear)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="schema-notices")

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)

    def _hear(self, connection_id: UUID, version: str) -> None:
        self._loaded[connection_id] = version
        self._woken.set()

    async def _run(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            loaded, self._loaded = self._loaded, {}
            for connection_id, version in loaded.items():
                for note_version in self._note_version:
                    try:
                        await note_version(connection_id, version)
                    except (AppError, SQLAlchemyError, ConnectorException, OSError) as error:
                        # the next scan by schedule sees it
                        _log.warning("sentry.change_not_noted", reason=type(error).__name__)
