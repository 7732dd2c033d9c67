"""Decides when a failed job runs again."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from procrastinate import BaseRetryStrategy, RetryDecision
from procrastinate.jobs import Job

_JITTER = 0.2
_chance = random.SystemRandom()


@dataclass(frozen=True)
class RetryPolicy:
    """Waits `first`, then `factor` times as long each time, never longer than `longest`; gives up after `attempts`."""

    attempts: int = 10
    first: timedelta = timedelta(seconds=10)
    factor: float = 4.0
    longest: timedelta = timedelta(hours=2)

    def find_wait(self, tried: int) -> timedelta | None:
        """Returns the wait after attempt number `tried` (from 1), or None after the last."""
        if tried >= self.attempts:
            return None
        growth = self.factor ** min(tried - 1, 64)
        seconds = min(self.first.total_seconds() * growth, self.longest.total_seconds())
        return timedelta(seconds=seconds * _chance.uniform(1 - _JITTER, 1 + _JITTER))


OnFailure = Callable[[Job, BaseException, timedelta | None], None]


class Retry(BaseRetryStrategy):
    """The policy for procrastinate. A job that our own stop has cancelled did not fail and runs again at once."""

    def __init__(self, policy: RetryPolicy, on_failure: OnFailure) -> None:
        self._policy = policy
        self._on_failure = on_failure

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError) and _is_cancelled():
            return RetryDecision(retry_at=datetime.now(UTC))
        wait = self._policy.find_wait(job.attempts + 1)
        self._on_failure(job, exception, wait)
        return None if wait is None else RetryDecision(retry_at=datetime.now(UTC) + wait)


def _is_cancelled() -> bool:
    """Whether this task was cancelled, and not only one that it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
