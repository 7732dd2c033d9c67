"""Declaring jobs and asking for them.

A job runs at least once: a process may die after its work and before it could say so. A handler therefore bears
running twice, even at the same time, and opens its own unit of work.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import procrastinate
import structlog
from procrastinate import JobContext, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.jobs import Job

from basewarden.db import Database, Pruner, WriteSession, driver_dsn, in_batches
from basewarden.jobs import queries
from basewarden.jobs.retry import Retry, RetryPolicy
from basewarden.jobs.worker import JobTiming, JobWorker

MAX_NAME_LENGTH = 40
"""The library's channel of a name must fit an identifier of PostgreSQL."""
KEEP_FAILED = timedelta(days=30)
JOB_PRUNERS = (Pruner("procrastinate_jobs", KEEP_FAILED, in_batches(queries.delete_ended_jobs)),)
_POOL_SIZE = 5
_CONNECT_SECONDS = 5
_log = structlog.get_logger()

Arguments = dict[str, Any]
Handler = Callable[[Arguments], Awaitable[None]]
PeriodicHandler = Callable[[], Awaitable[None]]


class Jobs:
    """Handlers are registered while the process is wired; `start` begins to work, `enqueue` works without it."""

    def __init__(self, database: Database, timing: JobTiming | None = None) -> None:
        _silence_library()
        self._database = database
        self._timing = timing or JobTiming()
        self._app = procrastinate.App(connector=_make_connector(database, self._timing))
        self._policies: dict[str, RetryPolicy] = {}
        self._worker: JobWorker | None = None

    def register(self, name: str, handler: Handler, *, retry: RetryPolicy | None = None) -> None:
        """`name` is a promise to jobs that are already waiting: a release that renames it leaves them behind."""

        async def run(_context: JobContext, **arguments: Any) -> None:
            await handler(arguments)

        self._declare(name, run, retry or RetryPolicy())

    def register_periodic(
        self, name: str, cron: str, handler: PeriodicHandler, *, retry: RetryPolicy | None = None
    ) -> None:
        """`cron` in UTC. A tick runs once over all processes; one that none of them saw for ten minutes is left out."""

        async def run(_context: JobContext, **_: Any) -> None:
            await handler()

        task = self._declare(name, run, retry or RetryPolicy(attempts=3))
        self._app.periodic(cron=cron, queueing_lock=name)(task)

    async def enqueue(
        self,
        session: WriteSession,
        name: str,
        arguments: Arguments | None = None,
        *,
        after: timedelta | None = None,
        key: str | None = None,
    ) -> bool:
        """Commits with the unit of work, and workers hear of it then. False: one with this `key` is waiting already.

        Arguments are JSON and lie in the clear, in backups too: ids, never a secret, a token or somebody's data.
        """
        if name not in self._policies:
            raise LookupError(f"no job is registered as {name}")
        when = None if after is None else datetime.now(UTC) + after
        try:
            async with session.begin_nested():  # the refused one must not spoil the whole unit of work
                raw = await (await session.connection()).get_raw_connection()
                deferrer = self._app.configure_task(
                    name, queueing_lock=key, schedule_at=when, connection=raw.driver_connection
                )
                await deferrer.defer_async(**(arguments or {}))
        except AlreadyEnqueued:
            return False
        return True

    async def start(self) -> None:
        """Returns at once: a database that is away does not hold up the start."""
        self._worker = JobWorker(self._app, self._timing, self._free_stalled, list(self._policies))
        self._worker.start()

    async def stop(self) -> None:
        if self._worker is not None:
            await self._worker.stop()

    def _declare(self, name: str, run: Callable[..., Awaitable[None]], policy: RetryPolicy) -> Any:
        if len(name) > MAX_NAME_LENGTH:
            raise ValueError(f"a job's name has at most {MAX_NAME_LENGTH} characters: {name}")
        self._policies[name] = policy
        return self._app.task(name=name, queue=name, retry=Retry(policy, _log_failure), pass_context=True)(run)

    async def _free_stalled(self) -> None:
        attempts = {name: policy.attempts for name, policy in self._policies.items()}
        async with self._database.unit_of_work() as unit:
            freed = await queries.free_stalled_jobs(unit, attempts, self._timing.silent_for)
        if freed:
            _log.warning("jobs.freed", count=freed)


def _make_connector(database: Database, timing: JobTiming) -> PsycopgConnector:
    """A small pool of the worker's own: a busy worker must not take the requests' connections."""
    return PsycopgConnector(
        conninfo=driver_dsn(database.url),
        kwargs={"application_name": "basewarden jobs", "connect_timeout": _CONNECT_SECONDS},
        min_size=1,
        max_size=_POOL_SIZE,
        timeout=timing.connection_seconds,
    )


def _log_failure(job: Job, error: BaseException, wait: timedelta | None) -> None:
    """In our log stand a job's name and id, never its arguments."""
    context = {"job": job.task_name, "id": job.id, "attempt": job.attempts + 1, "reason": type(error).__name__}
    if wait is None:
        _log.error("job.failed", **context, exc_info=error)
    else:
        _log.warning("job.retried", **context, wait_seconds=round(wait.total_seconds(), 1))


def _silence_library() -> None:
    """It writes every job's arguments at INFO, and at ERROR when one fails. What matters we log ourselves."""
    library = logging.getLogger("procrastinate")
    library.setLevel(logging.CRITICAL + 1)
    library.propagate = False
