"""The worker inside a serving process: runs jobs, restarts after errors, and stops within a time limit."""

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
    """Intervals and time limits of a worker: polling, heartbeat, our database, and running jobs at a stop."""

    poll_seconds: float = 2.0
    heartbeat_seconds: float = 10.0
    silent_seconds: float = 30.0
    connection_seconds: float = 5.0
    reconnect_seconds: float = 1.0
    stop_seconds: float = 5.0

    @property
    def silent_for(self) -> timedelta:
        """A worker without a heartbeat for this long is dead, and its jobs are freed."""
        return timedelta(seconds=self.silent_seconds)


class _Worker(Worker):
    """The library's worker, which ends if the end of a job cannot be stored: else the job would never be freed."""

    async def _persist_job_status(self, *arguments: Any, **named: Any) -> None:
        """Stops this worker on an error; its job is freed, since the next worker has another id."""
        try:
            await super()._persist_job_status(*arguments, **named)
        except ConnectorException:
            self.stop()  # type: ignore[no-untyped-call]  # the library gives it no types
            raise


class JobWorker:
    """Two tasks, which run until `stop`: one runs jobs, the other frees the jobs of dead workers."""

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
        """Waits a while for running jobs; a cancelled job runs again in another worker."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]  # the library gives it no types
        for task in self._tasks:
            await end_task(task, grace_seconds=self._timing.stop_seconds + _END_SECONDS)

    async def _keep_working(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - if this loop ended, no job would run any more
                reason = error.__cause__ or error
                _log.warning("jobs.worker_lost", reason=type(reason).__name__)
            await self._pause(self._timing.reconnect_seconds)

    async def _work(self) -> None:
        """Runs jobs until `stop` is called or our database is unavailable."""
        try:
            await self._app.open_async()
            self._worker = self._make_worker()
            if not self._stopping.is_set():
                await self._worker.run()  # type: ignore[no-untyped-call]  # the library gives it no types
        finally:
            self._worker = None
            await self._app.close_async()

    def _make_worker(self) -> Worker:
        """Takes only jobs with known names, so that older processes skip new jobs while a release rolls out."""
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
