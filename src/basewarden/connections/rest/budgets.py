"""How much of projects' answers one process keeps whole at once.

A small answer is free. A large one takes a turn: one at a time for each project, a few for the process, so that no
project can use up the memory of all. Until its turn comes nothing more of it is read.
"""

import asyncio
from contextlib import AsyncExitStack
from functools import cache
from types import TracebackType
from typing import Self

from basewarden.connections.rest.wire import Garbled, HTTPConnection

SMALL_BYTES = 1024 * 1024
MOST_LARGE = 4
MOST_ELEMENTS = 2_000_000


class LargeTurn:
    """For one operation. `take` may be called again and again; the turn is given back at the end of the block."""

    __slots__ = ("_is_taken", "_of_process", "_of_project", "_stack")

    def __init__(self, of_project: asyncio.Semaphore, of_process: asyncio.Semaphore) -> None:
        self._of_project = of_project
        self._of_process = of_process
        self._stack = AsyncExitStack()
        self._is_taken = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def take(self) -> None:
        """Waits for it as long as the caller lets it."""
        if self._is_taken:
            return
        await self._stack.enter_async_context(self._of_project)
        await self._stack.enter_async_context(self._of_process)
        self._is_taken = True

    async def read_whole(self, connection: HTTPConnection, limit: int) -> bytes:
        """The rest of the body; Garbled where it is larger than that."""
        start = await connection.read_start(min(SMALL_BYTES, limit))
        if connection.is_read:
            return start
        await self.take()
        return await connection.read_whole(limit, start)


@cache
def get_process_turns() -> asyncio.Semaphore:
    return asyncio.Semaphore(MOST_LARGE)


def check_elements(body: bytes, most: int = MOST_ELEMENTS) -> int:
    """How many values a JSON text holds at most; Garbled above `most`. Decoded, each takes some hundred bytes."""
    found = body.count(b",") + body.count(b":")
    if found > most:
        raise Garbled("It contains too many values.")
    return found
