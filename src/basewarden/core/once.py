"""A value that takes long to make, made once."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

T = TypeVar("T")


def make_once(make: Callable[[], T]) -> Callable[[], T]:
    """Returns what `make` returned at the first call. Threads that call meanwhile wait; an error is not kept."""
    lock = Lock()
    made: list[T] = []

    def get() -> T:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get
