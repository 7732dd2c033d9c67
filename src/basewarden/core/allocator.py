"""Returns freed memory to the operating system, which glibc would keep for later allocations.

A single response of a project may take hundreds of megabytes once, and a process that stays that large is killed on a
small machine. Without glibc these functions do nothing.
"""

import asyncio
import ctypes
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # glibc's malloc.h
_LARGE_BYTES = 1_048_576
"""An allocation of this size or more has pages of its own, which are returned as soon as it is freed."""
_KEPT_BYTES = 16 * _LARGE_BYTES
_ARENAS = 2
_WORTH_BYTES = 32_000_000
_CALM_SECONDS = 1.0


def tune_allocator() -> None:
    """Call once in each process that serves. A fixed threshold is not raised by glibc with large allocations."""
    adjust = _find("mallopt")
    if adjust is not None:
        for parameter, value in (
            (_MMAP_THRESHOLD, _LARGE_BYTES),
            (_TRIM_THRESHOLD, _KEPT_BYTES),
            (_ARENA_MAX, _ARENAS),
        ):
            adjust(parameter, value)


class Trimming:
    """Returns the free pages between allocations that are in use, a moment after much memory was freed."""

    def __init__(self) -> None:
        self._trim = _find("malloc_trim")
        self._freed = 0
        self._is_due = False

    def note_freed(self, size: int) -> None:
        self._freed += size
        if self._freed >= _WORTH_BYTES and not self._is_due and self._trim is not None:
            self._is_due = True
            asyncio.get_running_loop().call_later(_CALM_SECONDS, self._begin, self._trim)

    def _begin(self, trim: Callable[[int], int]) -> None:
        """Runs in a thread, because it walks over all allocations."""
        self._is_due, self._freed = False, 0
        asyncio.get_running_loop().run_in_executor(None, trim, 0)


def _find(name: str) -> Callable[..., int] | None:
    function: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    return function
