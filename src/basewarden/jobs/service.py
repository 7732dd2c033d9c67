"""Registers the handlers of jobs and enqueues jobs.

A job runs at least once, because a process may die after the work and before the result is stored. So a handler must be
idempotent, even if it runs twice at the same time, and it opens its own unit of work.
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
    """Handlers are registered before `start`, which starts the worker; `enqueue` needs no worker."""

    def __init__(self, database: Database, timing: JobTiming | None = None) -> None:
        _silence_library()
        self._database = database
        self._timing = timing or JobTiming()
        self._app = procrastinate.App(connector=_make_connector(database, self._timing))
        self._policies: dict[str, RetryPolicy] = {}
        self._worker: JobWorker | None = None

    def register(self, name: str, handler: Handler, *, retry: RetryPolicy | None = None) -> None:
        """`name` must stay the same in later releases: waiting jobs of an old name are never run."""

        async def run(_context: JobContext, **arguments: Any) -> None:
            await handler(arguments)

        self._declare(name, run, retry or RetryPolicy())

    def register_periodic(
        self, name: str, cron: str, handler: PeriodicHandler, *, retry: RetryPolicy | None = None
    ) -> None:
        """`cron` is in UTC. Each tick runs in one process, and is skipped if all missed it by ten minutes."""

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
        """Adds a job when the unit of work commits. Returns False if a job with this `key` is waiting already.

        Arguments are JSON and stored unencrypted, also in backups: pass ids, never a secret, a token or personal data.
        """
        if name not in self._policies:
            raise LookupError(f"no job is registered as {name}")
        when = None if after is None else datetime.now(UTC) + after
        try:
            async with session.begin_nested():  # a duplicate must not abort the whole unit of work
                raw = await (await session.connection()).get_raw_connection()
                deferrer = self._app.configure_task(
                    name, queueing_lock=key, schedule_at=when, connection=raw.driver_connection
                )
                await deferrer.defer_async(**(arguments or {}))
        except AlreadyEnqueued:
            return False
        return True

    async def start(self) -> None:
        """Returns at once: an unavailable database does not delay the start."""
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
    """Makes a small pool for the worker, so that a busy worker does not use the connections of requests."""
    return PsycopgConnector(
        conninfo=driver_dsn(database.url),
        kwargs={"application_name": "basewarden jobs", "connect_timeout": _CONNECT_SECONDS},
        min_size=1,
        max_size=_POOL_SIZE,
        timeout=timing.connection_seconds,
    )


def _log_failure(job: Job, error: BaseException, wait: timedelta | None) -> None:
    """Logs the name and id of the job, never its arguments."""
    context = {"job": job.task_name, "id": job.id, "attempt": job.attempts + 1, "reason": type(error).__name__}
    if wait is None:
        _log.error("job.failed", **context, exc_info=error)
    else:
        _log.warning("job.retried", **context, wait_seconds=round(wait.total_seconds(), 1))


def _silence_library() -> None:
    """The library logs the arguments of jobs. We log what matters ourselves."""
    library = logging.getLogger("procrastinate")
    library.setLevel(logging.CRITICAL + 1)
    library.propagate = False
