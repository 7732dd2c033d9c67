"""How much a coroutine takes of the event loop: the parts in which it runs, not those in which it waits."""

import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

SHORT_STEP_SECONDS = 0.001
_MOST_FACTOR = 10.0


class Stopwatch:
    """Runs while the coroutine does. `cost` is in seconds, of the steps that are over.

    It is processor time of the loop's thread: on a busy machine a process waits for the processor, which is no
    caller's doing. A step of up to a millisecond costs what it takes. A longer one costs more, by its length in
    milliseconds, ten times at most: others wait for half of a step on the average, and one step of 10 ms delays ten
    times as many of them as one of 1 ms.
    """

    __slots__ = ("cost", "since")

    def __init__(self) -> None:
        self.cost = self.since = 0.0

    def read_within(self) -> float:
        """The cost so far, asked by the coroutine itself: its present step counts too."""
        return self.cost + _cost_of(time.thread_time() - self.since)


def _cost_of(seconds: float) -> float:
    return seconds if seconds < SHORT_STEP_SECONDS else seconds * min(_MOST_FACTOR, seconds / SHORT_STEP_SECONDS)


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
            watch.cost += _cost_of(clock() - watch.since)
            value = None  # an error would lead to itself by way of this frame
        try:
            value, step = (yield awaited), work.send
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001 - whatever is thrown in is the coroutine's to see
            value, step = error, work.throw
