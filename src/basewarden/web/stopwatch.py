"""Measures how long a coroutine runs on the event loop, without the time in which it waits."""

import time
from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any

SHORT_STEP_SECONDS = 0.001
_MOST_FACTOR = 10.0


class Stopwatch:
    """Runs while the coroutine runs. `cost` is in seconds, of the completed steps.

    It is processor time of the loop's thread, because on a busy machine a process waits for the processor, which no
    caller causes. A step of up to a millisecond costs its duration. A longer step costs its duration times its length
    in milliseconds, at most ten times: others wait for half of a step on average, and one step of 10 ms delays ten
    times as many of them as a step of 1 ms.
    """

    __slots__ = ("cost", "since")

    def __init__(self) -> None:
        self.cost = self.since = 0.0

    def read_within(self) -> float:
        """The cost so far, read by the coroutine itself: includes its current step."""
        return self.cost + _cost_of(time.thread_time() - self.since)


def _cost_of(seconds: float) -> float:
    return seconds if seconds < SHORT_STEP_SECONDS else seconds * min(_MOST_FACTOR, seconds / SHORT_STEP_SECONDS)


@coroutine
def run_timed(work: Coroutine[Any, Any, None], watch: Stopwatch) -> Generator[Any, Any, None]:
    """Awaits `work` and measures it with `watch`. On the hot path."""
    clock, step, value = time.thread_time, work.send, None
    while True:
        watch.since = clock()
        try:
            awaited = step(value)
        except StopIteration:
            return
        finally:
            watch.cost += _cost_of(clock() - watch.since)
            value = None  # otherwise an error would refer to itself through this frame
        try:
            value, step = (yield awaited), work.send
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001 - all that is thrown in is passed on
            value, step = error, work.throw
