"""All SQL of jobs, on the tables of procrastinate; jobs are changed by its own functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from basewarden.db import WriteSession

_DUE = "job.status = 'todo' AND (job.scheduled_at IS NULL OR job.scheduled_at <= now())"


@dataclass(frozen=True)
class FailedJob:
    """A job that is not tried again. The log has the reason under its id."""

    id: int
    name: str
    attempts: int
    failed_at: datetime


async def list_failed(session: AsyncSession, *, limit: int = 100) -> Sequence[FailedJob]:
    """The latest first."""
    query = text(
        "SELECT job.id, job.task_name, job.attempts, event.at FROM procrastinate_jobs AS job"
        " JOIN LATERAL (SELECT max(at) AS at FROM procrastinate_events WHERE job_id = job.id) AS event ON true"
        " WHERE job.status = 'failed' ORDER BY event.at DESC, job.id DESC LIMIT :limit"
    )
    return [FailedJob(*row) for row in await session.execute(query, {"limit": limit})]


async def count_failed(session: AsyncSession) -> int:
    return int(await session.scalar(text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'failed'")) or 0)


async def count_waiting(session: AsyncSession) -> int:
    """Counts jobs that could run now and are not taken by a worker."""
    return int(await session.scalar(text(f"SELECT count(*) FROM procrastinate_jobs AS job WHERE {_DUE}")) or 0)


async def find_oldest_waiting_age(session: AsyncSession) -> timedelta | None:
    """Returns how long the oldest waiting job could have run; None if no job waits."""
    query = text(
        "SELECT max(now() - coalesce(job.scheduled_at, event.at)) FROM procrastinate_jobs AS job"
        f" JOIN procrastinate_events AS event ON event.job_id = job.id AND event.type = 'deferred' WHERE {_DUE}"
    )
    age: timedelta | None = await session.scalar(query)
    return age


async def free_stalled_jobs(session: WriteSession, attempts: Mapping[str, int], silent_for: timedelta) -> int:
    """Frees the jobs of workers that have died; a job that has used up its `attempts` fails instead.

    Each job is locked first, so that several processes free it once.
    """
    query = text(
        "WITH stalled AS ("
        " SELECT job.id, job.attempts + 1 >= known.attempts AS is_over FROM procrastinate_jobs AS job"
        " JOIN unnest(CAST(:names AS text[]), CAST(:attempts AS int[])) AS known(name, attempts)"
        " ON known.name = job.task_name"
        " WHERE job.status = 'doing' AND NOT EXISTS (SELECT FROM procrastinate_workers AS worker"
        " WHERE worker.id = job.worker_id AND worker.last_heartbeat >= now() - CAST(:silent_for AS interval))"
        " FOR UPDATE OF job SKIP LOCKED)"
        " SELECT CASE WHEN is_over THEN procrastinate_finish_job_v1(id, 'failed', false)::text"
        " ELSE procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL)::text END FROM stalled"
    )
    arguments = {"names": list(attempts), "attempts": list(attempts.values()), "silent_for": silent_for}
    return len((await session.execute(query, arguments)).all())


async def delete_ended_jobs(session: WriteSession, older_than: timedelta, limit: int = 1000) -> int:
    """Deletes failed jobs that are older than this; successful jobs are deleted at once."""
    query = text(
        "WITH ended AS (SELECT job.id FROM procrastinate_jobs AS job"
        " WHERE job.status IN ('succeeded', 'failed', 'cancelled', 'aborted')"
        " AND NOT EXISTS (SELECT FROM procrastinate_events AS event"
        " WHERE event.job_id = job.id AND event.at >= now() - CAST(:older_than AS interval))"
        " LIMIT :limit FOR UPDATE SKIP LOCKED)"
        " DELETE FROM procrastinate_jobs AS job USING ended WHERE job.id = ended.id RETURNING job.id"
    )
    return len((await session.execute(query, {"older_than": older_than, "limit": limit})).all())
