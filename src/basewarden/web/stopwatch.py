"""How much processor time a coroutine takes on the event loop's thread.

Not the time on the wall: on a busy machine a process waits for the processor, which is no caller's doing.
"""

import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


class Stopwatch:
    """Runs while the coroutine does. `spent` are the seconds of the steps that are over."""

    __slots__ = ("since", "spent")

    def __init__(self) -> None:
        self.spent = self.since = 0.0

    def read_within(self) -> float:
        """Asked by the coroutine itself: its present step counts too."""
        return self.spent + time.thread_time() - self.since


@coroutine
def run_timed(work: Coroutine[Any, Any, None], watch: Stopwatch) -> Generator[Any, Any, None]:
    """Awaits `work` and lets `watch` run with it. On the hot path."""
    clock, step, value = time.thread_time, work.send, None
    while True:
        watch.since = clock()
        try:
            awaited = step(value)
        except StopIteration:
            return
        finally:
            watch.spent += clock() - watch.since
            value = None  # an error would lead to itself by way of this frame
        try:
            value, step = (yield awaited), work.send
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001 - whatever is thrown in is the coroutine's to see
            value, step = error, work.throw
