"""Ending background tasks for good."""

import asyncio
from typing import Any

_ASK_AGAIN_SECONDS = 0.5
_MOST_ASKED = 20


async def end_task(task: "asyncio.Task[Any]", *, grace_seconds: float = 0.0) -> None:
    """Waits for the grace, then cancels until it is over: a library may swallow one cancellation, not all."""
    if grace_seconds:
        await asyncio.wait({task}, timeout=grace_seconds)
    for _ in range(_MOST_ASKED):
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=_ASK_AGAIN_SECONDS)
