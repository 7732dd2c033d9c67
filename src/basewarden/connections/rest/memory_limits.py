"""Limits how many large responses of projects a process holds in memory at once.

Small responses are not limited. A large one needs a slot: one per project, a few per process, so that no project can
use up the memory. Nothing more of its body is read before that.
"""

import asyncio
from contextlib import AsyncExitStack
from functools import cache
from types import TracebackType
from typing import Self

from basewarden.connections.rest.http_connection import HTTPConnection, ProtocolError

SMALL_BYTES = 1024 * 1024
MAX_LARGE_BODIES = 4
MAX_ELEMENTS = 2_000_000


class LargeBodySlot:
    """The slot of one operation. `acquire` may be called repeatedly; the end of the block releases it."""

    __slots__ = ("_is_acquired", "_of_process", "_of_project", "_stack")

    def __init__(self, of_project: asyncio.Semaphore, of_process: asyncio.Semaphore) -> None:
        self._of_project = of_project
        self._of_process = of_process
        self._stack = AsyncExitStack()
        self._is_acquired = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def acquire(self) -> None:
        """Waits for the slot; the caller sets the timeout."""
        if self._is_acquired:
            return
        await self._stack.enter_async_context(self._of_project)
        await self._stack.enter_async_context(self._of_process)
        self._is_acquired = True

    async def read_whole(self, connection: HTTPConnection, limit: int) -> bytes:
        """Reads the rest of the body. Raises ProtocolError if it is larger than the limit."""
        start = await connection.read_start(min(SMALL_BYTES, limit))
        if connection.is_read:
            return start
        await self.acquire()
        return await connection.read_whole(limit, start)


@cache
def get_process_slots() -> asyncio.Semaphore:
    return asyncio.Semaphore(MAX_LARGE_BODIES)


def check_elements(body: bytes, limit: int = MAX_ELEMENTS) -> int:
    """Returns how many values a JSON text may have; raises ProtocolError above `limit`. Each takes some 100 bytes."""
    found = body.count(b",") + body.count(b":")
    if found > limit:
        raise ProtocolError("It contains too many values.")
    return found
