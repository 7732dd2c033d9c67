"""Ends background tasks reliably."""

import asyncio
from typing import Any

_RETRY_SECONDS = 0.5
_MAX_CANCELS = 20


async def end_task(task: "asyncio.Task[Any]", *, grace_seconds: float = 0.0) -> None:
    """Waits for `grace_seconds`, then cancels until the task ends, because a library may swallow a cancellation."""
    if grace_seconds:
        await asyncio.wait({task}, timeout=grace_seconds)
    for _ in range(_MAX_CANCELS):
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=_RETRY_SECONDS)
