"""Runs the work of an undo in a thread of its own.

Planning and writing many rows takes seconds of computing, and all other requests would wait meanwhile. So it runs in a
thread with an event loop of its own; only its statements go through the loop that owns the database connection.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

from pgrest import DbConnection, Rows, Statement

T = TypeVar("T")


class _RemoteConnection:
    """A database connection for use from another event loop."""

    def __init__(self, connection: DbConnection, home: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._home = home

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def run(self, statements: Sequence[Statement]) -> list[Rows]:
        running = asyncio.run_coroutine_threadsafe(self._connection.run(statements), self._home)
        return await asyncio.wrap_future(running)


async def run_in_worker(connection: DbConnection, work: Callable[[DbConnection], Coroutine[Any, Any, T]]) -> T:
    """Returns what `work` returns. A cancellation waits until `work` has ended, so the connection is not in use."""
    remote = cast("DbConnection", _RemoteConnection(connection, asyncio.get_running_loop()))
    beside = asyncio.new_event_loop()
    task = beside.create_task(work(remote))
    executor = ThreadPoolExecutor(1, "undo")
    running = asyncio.get_running_loop().run_in_executor(executor, _run, beside, task)
    try:
        return cast("T", await asyncio.shield(running))
    except asyncio.CancelledError:
        beside.call_soon_threadsafe(task.cancel)
        await _wait_for_end(running)
        raise
    finally:
        executor.shutdown(wait=False)


def _run(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[T]") -> T:
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(task)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _wait_for_end(running: "asyncio.Future[Any]") -> None:
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            continue
    if not running.cancelled():
        running.exception()  # marks the exception as retrieved
