"""How much of the event loop's time a coroutine takes: the parts in which it runs, not those in which it waits."""

import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


class Stopwatch:
    """Runs while the coroutine does."""

    __slots__ = ("_since", "_spent")

    def __init__(self) -> None:
        self._spent = 0.0
        self._since: float | None = None

    @property
    def seconds(self) -> float:
        """Those of the present step too."""
        return self._spent + (0.0 if self._since is None else time.perf_counter() - self._since)

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self) -> None:
        self._spent, self._since = self.seconds, None


@coroutine
def run_timed(work: Coroutine[Any, Any, None], watch: Stopwatch) -> Generator[Any, Any, None]:
    """Awaits `work` and lets `watch` run with it."""
    step, value = work.send, None
    while True:
        watch.start()
        try:
            awaited = step(value)
        except StopIteration:
            return
        finally:
            watch.stop()
        try:
            value, step = (yield awaited), work.send
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001 - whatever is thrown in is the coroutine's to see
            value, step = error, work.throw
