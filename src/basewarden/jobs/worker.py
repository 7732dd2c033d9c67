"""The worker inside a serving process: takes jobs, comes back after any trouble, ends within bounds."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import procrastinate
import structlog
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker
from sqlalchemy.exc import SQLAlchemyError

from basewarden.core.tasks import end_task
from basewarden.errors import AppError

_CONCURRENCY = 4
_END_SECONDS = 2.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class JobTiming:
    """How often a worker looks and shows that it lives; how long it waits for our database, and a stop for its jobs."""

    poll_seconds: float = 2.0
    heartbeat_seconds: float = 10.0
    silent_seconds: float = 30.0
    connection_seconds: float = 5.0
    reconnect_seconds: float = 1.0
    stop_seconds: float = 5.0

    @property
    def silent_for(self) -> timedelta:
        """Who has shown no life for this long is gone, and its jobs are anybody's."""
        return timedelta(seconds=self.silent_seconds)


class _Worker(Worker):
    """The library's, but for a job whose end could not be stored: there it would stay taken for as long as we live."""

    async def _persist_job_status(self, *arguments: Any, **named: Any) -> None:
        """This worker ends; the next one is another, and the job is freed."""
        try:
            await super()._persist_job_status(*arguments, **named)
        except ConnectorException:
            self.stop()  # type: ignore[no-untyped-call]  # the library gives it no types
            raise


class JobWorker:
    """Two tasks: one works, the other frees the jobs of workers that are gone. Neither ends by itself."""

    def __init__(
        self,
        app: procrastinate.App,
        timing: JobTiming,
        free_stalled: Callable[[], Awaitable[None]],
        names: Sequence[str],
    ) -> None:
        self._app = app
        self._timing = timing
        self._free_stalled = free_stalled
        self._names = names
        self._worker: Worker | None = None
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._keep_working(), name="jobs-worker"),
            asyncio.create_task(self._keep_freeing(), name="jobs-freeing"),
        ]

    async def stop(self) -> None:
        """Lets running jobs end for a while; what is cut off runs again elsewhere."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]  # the library gives it no types
        for task in self._tasks:
            await end_task(task, grace_seconds=self._timing.stop_seconds + _END_SECONDS)

    async def _keep_working(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - a loop that ends would leave every job waiting for ever
                reason = error.__cause__ or error
                _log.warning("jobs.worker_lost", reason=type(reason).__name__)
            await self._pause(self._timing.reconnect_seconds)

    async def _work(self) -> None:
        """Works until it is told to stop, or until our database is away."""
        try:
            await self._app.open_async()
            self._worker = self._make_worker()
            if not self._stopping.is_set():
                await self._worker.run()  # type: ignore[no-untyped-call]  # the library gives it no types
        finally:
            self._worker = None
            await self._app.close_async()

    def _make_worker(self) -> Worker:
        """Takes only jobs whose names it knows: while a release rolls out, older processes leave the new ones alone."""
        return _Worker(
            self._app,
            queues=self._names,
            concurrency=_CONCURRENCY,
            fetch_job_polling_interval=self._timing.poll_seconds,
            update_heartbeat_interval=self._timing.heartbeat_seconds,
            stalled_worker_timeout=self._timing.silent_seconds,
            shutdown_graceful_timeout=self._timing.stop_seconds,
            delete_jobs="successful",
            install_signal_handlers=False,
        )

    async def _keep_freeing(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._free_stalled()
            except (SQLAlchemyError, AppError, OSError) as error:
                _log.warning("jobs.freeing_failed", reason=type(error).__name__)
            await self._pause(self._timing.heartbeat_seconds)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
