"""A small cache whose entries live for seconds."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ExpiringCache(Generic[K, V]):
    """Keeps at most `size` entries, each for `seconds`; the least recently stored goes first."""

    def __init__(self, *, size: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def find(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        expires, value = entry
        if expires <= self._clock():
            self._entries.pop(key, None)
            return None
        return value

    def store(self, key: K, value: V) -> None:
        self._entries.pop(key, None)
        self._entries[key] = (self._clock() + self._seconds, value)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        self._entries.pop(key, None)

    def drop_where(self, test: Callable[[K, V], bool]) -> None:
        for key in [key for key, (_, value) in self._entries.items() if test(key, value)]:
            del self._entries[key]

    def clear(self) -> None:
        self._entries.clear()


class LoadingCache(Generic[K, V]):
    """An ExpiringCache that loads missing entries, once for all concurrent callers.

    The result of a load that began before a drop is not stored, and callers after the drop load again.
    """

    def __init__(
        self,
        load: Callable[[K], Awaitable[V | None]],
        *,
        size: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._entries: ExpiringCache[K, V] = ExpiringCache(size=size, seconds=seconds, clock=clock)
        self._invalidations = 0
        self._fetches: dict[tuple[K, int], asyncio.Task[V | None]] = {}

    def find(self, key: K) -> V | None:
        """Returns a stored entry without loading."""
        return self._entries.find(key)

    async def get(self, key: K) -> V | None:
        """Does not store that an entry is missing: guessed keys of strangers must not evict real entries."""
        value = self._entries.find(key)
        if value is not None:
            return value
        at = (key, self._invalidations)
        fetch = self._fetches.get(at)
        if fetch is None:
            fetch = self._fetches[at] = asyncio.create_task(self._fetch(at))
            fetch.add_done_callback(lambda done: self._end_fetch(at, done))
        return await asyncio.shield(fetch)  # a caller that is cancelled must not cancel it for the others

    async def _fetch(self, at: tuple[K, int]) -> V | None:
        key, drops = at
        value = await self._load(key)
        if value is not None and drops == self._invalidations:
            self._entries.store(key, value)
        return value

    def _end_fetch(self, at: tuple[K, int], fetch: "asyncio.Task[V | None]") -> None:
        del self._fetches[at]
        if not fetch.cancelled():
            fetch.exception()  # marks it as retrieved: all callers may have been cancelled

    def drop(self, key: K) -> None:
        self._invalidations += 1
        self._entries.drop(key)

    def drop_where(self, test: Callable[[K, V], bool]) -> None:
        self._invalidations += 1
        self._entries.drop_where(test)

    def clear(self) -> None:
        self._invalidations += 1
        self._entries.clear()
