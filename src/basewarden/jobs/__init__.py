"""Background jobs: a queue in our own PostgreSQL, to which a job is added in the transaction that needs it."""

from basewarden.jobs.queries import count_failed, count_waiting, find_oldest_waiting_age, list_failed
from basewarden.jobs.retry import RetryPolicy
from basewarden.jobs.service import Jobs
from basewarden.jobs.worker import JobTiming

__all__ = [
    "JobTiming",
    "Jobs",
    "RetryPolicy",
    "count_failed",
    "count_waiting",
    "find_oldest_waiting_age",
    "list_failed",
]
