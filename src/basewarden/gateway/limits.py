"""How often a caller may call: in memory for one process, in Redis or Valkey for several."""

import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from basewarden.errors import TooMany
from basewarden.gateway.caller import Caller
from basewarden.settings import Settings

_PARTS = 1000  # of a limit; a small limit is counted one by one
_LEASE_SECONDS = 1.0
_MOST_LEASES = 10_000


class RateLimits:
    """Asked for many at once and handed out from memory: counting each would cost more than all else about a caller.

    What a process has asked for and not used within a second is lost, a thousandth of the limit at the most.
    """

    def __init__(self, settings: Settings) -> None:
        storage = storage_from_string(_storage_uri(settings), **_storage_options(settings))
        assert isinstance(storage, Storage)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._agent_limit = RateLimitItemPerMinute(settings.agent_requests_per_minute)
        self._at_once = max(1, settings.agent_requests_per_minute // _PARTS)
        self._leases: dict[str, list[float]] = {}  # agent -> [how many are left, until when]

    async def check(self, caller: Caller) -> None:
        if not caller.is_agent:
            return
        if caller.requests_per_minute is not None:
            await self._count(RateLimitItemPerMinute(caller.requests_per_minute), caller.key)
        lease = self._leases.get(caller.key)
        if lease is not None and lease[0] and time.monotonic() < lease[1]:
            lease[0] -= 1
        else:
            await self._take(caller.key)

    async def _take(self, key: str) -> None:
        if self._at_once > 1 and await self._limiter.hit(self._agent_limit, key, cost=self._at_once):
            if len(self._leases) >= _MOST_LEASES:
                self._leases.clear()
            self._leases[key] = [self._at_once - 1, time.monotonic() + _LEASE_SECONDS]
        else:
            await self._count(self._agent_limit, key)

    async def _count(self, limit: RateLimitItemPerMinute, key: str) -> None:
        """One by one. Each limit has a count of its own."""
        if not await self._limiter.hit(limit, key):
            window = await self._limiter.get_window_stats(limit, key)
            raise TooMany.retry_after(window.reset_time - time.time())


def _storage_uri(settings: Settings) -> str:
    if settings.redis_url is None:
        return "async+memory://"
    return f"async+{settings.redis_url.reveal()}"


def _storage_options(settings: Settings) -> dict[str, str]:
    return {} if settings.redis_url is None else {"implementation": "redispy"}
