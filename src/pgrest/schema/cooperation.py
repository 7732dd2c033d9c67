"""Long work beside requests, on their own loop: a thread of Python would take the interpreter from them for longer."""

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

_TURN_SECONDS = 0.002
Made = TypeVar("Made")


async def run_cooperatively(work: Generator[None, None, Made]) -> Made:
    """Runs `work`, which yields between its steps, a little at a time; whatever else is ready runs in between."""
    until = time.perf_counter() + _TURN_SECONDS
    while True:
        try:
            next(work)
        except StopIteration as end:
            made: Made = end.value
            return made
        if time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + _TURN_SECONDS
