"""How often a caller may call: in memory for one process, in Redis or Valkey for several."""

import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.storage import storage_from_string

from basewarden.errors import TooMany
from basewarden.gateway.caller import Caller
from basewarden.settings import Settings


class RateLimits:
    def __init__(self, settings: Settings) -> None:
        storage = storage_from_string(_storage_uri(settings), **_storage_options(settings))
        assert isinstance(storage, Storage)
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._agent_limit = RateLimitItemPerMinute(settings.agent_requests_per_minute)

    async def check(self, caller: Caller) -> None:
        if not caller.is_agent:
            return
        key = str(caller.id)
        if not await self._limiter.hit(self._agent_limit, key):
            window = await self._limiter.get_window_stats(self._agent_limit, key)
            raise TooMany.retry_after(window.reset_time - time.time())


def _storage_uri(settings: Settings) -> str:
    if settings.redis_url is None:
        return "async+memory://"
    return f"async+{settings.redis_url.reveal()}"


def _storage_options(settings: Settings) -> dict[str, str]:
    return {} if settings.redis_url is None else {"implementation": "redispy"}
