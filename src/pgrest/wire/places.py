"""Decides who may take the next connection of a pool: first come, first served, but no holder gets all of them."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from pgrest import errors


@dataclass(frozen=True, slots=True)
class Terms:
    """On which a connection is lent. None means no limit.

    `most_at_once` is for one holder, `leaves_free` are places that stay for others; `seconds` and `most_bytes` are for
    the whole of what is done with the connection until it comes back.
    """

    most_at_once: int | None = None
    leaves_free: int = 0
    seconds: float | None = None
    most_bytes: int | None = None


NO_LIMITS = Terms()


@dataclass(slots=True)
class _Wish:
    holder: Hashable
    terms: Terms
    until: float


class Places:
    """As many as there may be connections. One clock runs for all who wait, not one each."""

    def __init__(self, count: int, wait_seconds: float) -> None:
        self._free = count
        self._wait_seconds = wait_seconds
        self._held: dict[Hashable, int] = {}
        self._waiting: dict[asyncio.Future[None], _Wish] = {}
        self._expiry: asyncio.TimerHandle | None = None
        self.timeouts = 0

    @property
    def waiting(self) -> int:
        return sum(not place.done() for place in self._waiting)

    def take_free(self, terms: Terms, holder: Hashable) -> bool:
        """Whether a place was free for the holder, who has it now."""
        if self._free <= terms.leaves_free or self._has_share(terms, holder):
            return False
        self._hand_out(holder)
        return True

    async def take(self, terms: Terms, holder: Hashable) -> None:
        """Too long a wait is PGRST003, or `too_many_running` where the holder's own share is used up."""
        if not self.take_free(terms, holder):
            await self._wait(terms, holder)

    def leave(self, holder: Hashable) -> None:
        self._free += 1
        if holder is not None:
            left = self._held[holder] - 1
            if left:
                self._held[holder] = left
            else:
                del self._held[holder]
        if self._waiting:
            self._serve()

    def _has_share(self, terms: Terms, holder: Hashable) -> bool:
        return terms.most_at_once is not None and self._held.get(holder, 0) >= terms.most_at_once

    def _hand_out(self, holder: Hashable) -> None:
        self._free -= 1
        if holder is not None:
            self._held[holder] = self._held.get(holder, 0) + 1

    async def _wait(self, terms: Terms, holder: Hashable) -> None:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting[place] = _Wish(holder, terms, loop.time() + self._wait_seconds)
        if self._expiry is None:
            self._expiry = loop.call_later(self._wait_seconds, self._expire)
        try:
            await place
        except asyncio.CancelledError:
            was_waiting = self._waiting.pop(place, None) is not None
            if not was_waiting and place.exception() is None:
                self.leave(holder)  # it had come already
            raise

    def _serve(self) -> None:
        """One place has become free, so one of those who wait may have it."""
        for place, wish in self._waiting.items():
            if not place.done() and self.take_free(wish.terms, wish.holder):
                del self._waiting[place]
                place.set_result(None)
                return

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._expiry = None
        for place, wish in list(self._waiting.items()):
            if not place.done() and wish.until > loop.time():
                self._expiry = loop.call_at(wish.until, self._expire)
                return
            del self._waiting[place]
            if not place.done():
                self.timeouts += 1
                place.set_exception(self._refusal(wish))

    def _refusal(self, wish: _Wish) -> errors.PgrestError:
        if wish.terms.most_at_once is not None and self._has_share(wish.terms, wish.holder):
            return errors.share_used_up(wish.terms.most_at_once)
        return errors.pool_timeout()
