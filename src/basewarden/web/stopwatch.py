"""Measures how long a coroutine runs on the event loop, without the time in which it waits."""

import time
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any

SHORT_STEP_SECONDS = 0.001
_MOST_FACTOR = 10.0
_MOST_CUBED = 100.0


def weigh_step(seconds: float) -> float:
    """A longer step than a millisecond costs its duration times its length in milliseconds, at most ten times.

    Others wait for half of a step on average, and one step of 10 ms delays ten times as many of them as a step of 1 ms.
    """
    return seconds if seconds < SHORT_STEP_SECONDS else seconds * min(_MOST_FACTOR, seconds / SHORT_STEP_SECONDS)


def weigh_step_cubed(seconds: float) -> float:
    """A longer step than a millisecond costs its duration times the cube of its length, at most a hundred times.

    For callers that may repeat a request without end: a few steps of 5 ms a second are felt by one in twenty of the
    others, so a caller whose steps are so long may have few of them, and one whose steps are short many.
    """
    if seconds < SHORT_STEP_SECONDS:
        return seconds
    return seconds * min(_MOST_CUBED, (seconds / SHORT_STEP_SECONDS) ** 3)


class Stopwatch:
    """Runs while the coroutine runs. `cost` is in seconds, of the completed steps, as `weigh` counts them.

    It is processor time of the loop's thread, because on a busy machine a process waits for the processor, which no
    caller causes.
    """

    __slots__ = ("cost", "since", "weigh")

    def __init__(self, weigh: Callable[[float], float] = weigh_step) -> None:
        self.weigh = weigh
        self.cost = self.since = 0.0

    def read_within(self) -> float:
        """The cost so far, read by the coroutine itself: includes its current step."""
        return self.cost + self.weigh(time.thread_time() - self.since)


@coroutine
def run_timed(work: Coroutine[Any, Any, None], watch: Stopwatch) -> Generator[Any, Any, None]:
    """Awaits `work` and measures it with `watch`. On the hot path."""
    clock, weigh, step, value = time.thread_time, watch.weigh, work.send, None
    while True:
        watch.since = clock()
        try:
            awaited = step(value)
        except StopIteration:
            return
        finally:
            watch.cost += weigh(clock() - watch.since)
            value = None  # otherwise an error would refer to itself through this frame
        try:
            value, step = (yield awaited), work.send
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001 - all that is thrown in is passed on
            value, step = error, work.throw
