"""Ends the work for a client that has gone, and with it the statement on the server."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_CHECK_AFTER_SECONDS = 0.1
"""Most requests are answered sooner and cost no more than a timer."""


class DisconnectWatcher:
    """Watches over the current task once the whole request is read, until `stop`. A client that leaves cancels it."""

    __slots__ = ("_receive", "_task", "_timer", "_watcher", "is_gone")

    def __init__(self, receive: Receive) -> None:
        self.is_gone = False
        self._receive = receive
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(_CHECK_AFTER_SECONDS, self._check)

    def stop(self) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def swallow_cancel(self) -> bool:
        """Whether the cancellation that was caught is ours: then the task goes on as if nothing had happened."""
        if self.is_gone and self._task is not None:
            self._task.uncancel()
        return self.is_gone

    def _check(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """Waits for the client's disconnect; only the end of an unread body may come before it."""
        for _ in range(2):
            if (await self._receive())["type"] == "http.disconnect":
                self.is_gone = True
                if self._task is not None:
                    self._task.cancel()
                return
