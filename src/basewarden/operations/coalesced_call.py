"""Shares one slow call between concurrent callers, so that health checks do not pile up while the database hangs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from basewarden.core.tasks import end_task

T = TypeVar("T")


class CoalescedCall(Generic[T]):
    """Makes one call at a time, shared by all concurrent callers; its result is kept for a moment."""

    def __init__(self, call: Callable[[], Awaitable[T]], *, keep_seconds: float, timeout_seconds: float) -> None:
        self._call = call
        self._keep = keep_seconds
        self._timeout_seconds = timeout_seconds
        self._task: asyncio.Task[T] | None = None
        self._ended = 0.0

    async def get(self) -> T | None:
        """Returns None when there is no result within the timeout; the call continues, and the next caller shares it.

        A cancelled caller does not cancel the shared call.
        """
        if self._task is None or (self._task.done() and time.monotonic() - self._ended >= self._keep):
            self._task = asyncio.create_task(self._run(), name="coalesced_call")
        task = self._task
        await asyncio.wait({task}, timeout=self._timeout_seconds)
        return task.result() if task.done() else None

    async def stop(self) -> None:
        if self._task is not None:
            await end_task(self._task)

    async def _run(self) -> T:
        try:
            return await self._call()
        finally:
            self._ended = time.monotonic()
