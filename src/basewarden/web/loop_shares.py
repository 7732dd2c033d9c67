"""Limits each caller's share of the event loop, while callers who use little of it are active.

Anonymous requests are charged to their address: above its share, responses are delayed, which slows down clients that
wait for them. The next request of a known caller starts later. No request is refused. Health checks are hardly delayed,
because an orchestrator would restart the process. See
docs/decisions/0029-limit-each-callers-share-of-the-event-loop.md.
"""

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

UNMEASURED_SECONDS = 0.003
"""The assumed cost of a stranger's request that was not measured, because it came with a wrong token."""
_LIVE, _HEALTH = "/api/health/live", "/api/health"
_HEALTH_CHECKS_PER_SECOND = 100
"""from one address that are not delayed"""
_LONGEST_HEALTH_WAIT = 0.5
_OTHERS_SECONDS = 1.0
_MOST_ACCOUNTS = 10_000
_NEWEST = 0.2
"""The weight of the last request in the mean."""
_FIRST, _PART, _MUCH_SECONDS = 8, 1 / 8, 0.002
"""The first requests of a caller are measured, then this part of them, and all if the mean is above this."""
_KEY = "basewarden.loop_shares"
_IS_PIPELINED, _IS_DISCONNECTED = "basewarden.is_pipelined", "basewarden.is_disconnected"
_STEP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Allowance:
    """`share` is a fraction of the loop's time, as the stopwatch counts it; `burst` are seconds of it that are free.

    `longest` is the maximum delay in seconds, `each` the delay for each waiting request of the caller. So a client that
    sends one request after the other is delayed little, and a flood gets 1 / `each` requests a second, or one for each
    connection in `longest` seconds if that is more.
    """

    share: float
    burst: float
    longest: float
    each: float = 0.25


STRANGER_ALLOWANCE = Allowance(share=0.02, burst=0.5, longest=10.0)
"""For one address or IPv6 network: an office that opens the pages for the first time takes some tenths of a second."""
KNOWN_ALLOWANCE = Allowance(share=0.2, burst=0.5, longest=10.0)
"""For one agent or person."""


class Admission(NamedTuple):
    """`wait` and `assumed` (the expected cost) are in seconds. If `is_measured`, `leave` must be called at the end."""

    wait: float
    is_measured: bool
    assumed: float


WITHOUT_LIMIT = Admission(0.0, is_measured=False, assumed=0.0)


class _Usage:
    """In seconds: `taken` beyond the share, and the `mean` of a request."""

    __slots__ = ("_allowance", "_checks", "_since", "_waiting", "mean", "number", "taken")

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._waiting: deque[float] = deque(maxlen=math.ceil(allowance.longest / allowance.each))
        self._since = time.monotonic()
        self._checks: deque[float] = deque(maxlen=_HEALTH_CHECKS_PER_SECOND)
        self.taken = self.mean = 0.0
        self.number = 0

    def find_wait(self, now: float) -> float:
        allowance = self._allowance
        taken = self.taken - (now - self._since) * allowance.share
        self._since = now
        if taken <= allowance.burst:
            self.taken = taken if taken > 0 else 0.0
            return 0.0
        self.taken = min(taken, allowance.burst + allowance.longest * allowance.share)
        return (self.taken - allowance.burst) / allowance.share

    def begin_wait(self, wanted: float, now: float) -> float:
        """Returns the delay, which is limited by the number of requests that wait already."""
        waiting = sum(end > now for end in self._waiting)
        wait = min(wanted, self._allowance.each * (1 + waiting))
        self._waiting.append(now + wait)
        return wait

    def take_check(self, now: float) -> bool:
        """Whether a health check is among the few that are never delayed."""
        if len(self._checks) == _HEALTH_CHECKS_PER_SECOND and now - self._checks[0] < 1:
            return False
        self._checks.append(now)
        return True

    def cancel_debt(self) -> None:
        """Called where no other caller is active: time that others did not need does not count later."""
        self.taken = min(self.taken, self._allowance.burst)


class LoopShares:
    """The usage of all callers of one process."""

    def __init__(self) -> None:
        self._strangers: dict[str, _Usage] = {}
        self._known: dict[str, _Usage] = {}
        self._last = self._other = ("", float("-inf"))

    def charge(self, address: str, seconds: float, path: str = "", *, is_pipelined: bool = False) -> float:
        """Adds the cost of a stranger's request. Returns the seconds by which its response is delayed."""
        account = _open_account(self._strangers, address, STRANGER_ALLOWANCE)
        account.taken += seconds
        if is_pipelined or path not in (_LIVE, _HEALTH):
            return self._decide(address, account)
        if path == _LIVE or account.take_check(time.monotonic()):
            return 0.0
        return min(_LONGEST_HEALTH_WAIT, self._decide(address, account))

    def enter(self, caller: str) -> Admission:
        """Called before a request of a known caller."""
        account = _open_account(self._known, caller, KNOWN_ALLOWANCE)
        account.taken += account.mean
        account.number += 1
        is_measured = account.mean > _MUCH_SECONDS or account.number < _FIRST or _is_sampled()
        wait = self._decide(caller, account)
        return Admission(wait, is_measured, account.mean) if wait or is_measured else WITHOUT_LIMIT

    def leave(self, caller: str, admission: Admission, seconds: float) -> None:
        """Called after a measured request, with its cost."""
        account = _open_account(self._known, caller, KNOWN_ALLOWANCE)
        account.taken += seconds - admission.assumed
        account.mean += (seconds - account.mean) * _NEWEST

    def note_active(self, caller: str, now: float | None = None) -> None:
        """Notes a request of a caller within its share."""
        if self._last[0] != caller:
            self._other = self._last
        self._last = (caller, time.monotonic() if now is None else now)

    def _decide(self, caller: str, account: _Usage) -> float:
        now = time.monotonic()
        wait = account.find_wait(now)
        if not wait:
            self.note_active(caller, now)
            return 0.0
        _, seen = self._other if self._last[0] == caller else self._last
        if now - seen < _OTHERS_SECONDS:
            return account.begin_wait(wait, now)
        account.cancel_debt()
        return 0.0


def _is_sampled() -> bool:
    """Random, because a client could avoid a fixed rhythm."""
    return random.random() < _PART  # noqa: S311 - a sample, not a secret


def _open_account(accounts: dict[str, _Usage], key: str, allowance: Allowance) -> _Usage:
    account = accounts.get(key)
    if account is None:
        if len(accounts) >= _MOST_ACCOUNTS:
            accounts.clear()
        account = accounts[key] = _Usage(allowance)
    return account


def attach_loop_shares(scope: Any, shares: LoopShares, *, is_disconnected: Callable[[], bool]) -> None:
    scope[_KEY], scope[_IS_DISCONNECTED] = shares, is_disconnected


def mark_pipelined(scope: Any) -> None:
    """An earlier request of the same connection has no response yet."""
    scope[_IS_PIPELINED] = True


def find_loop_shares(scope: Any) -> LoopShares | None:
    """Returns None where another server runs the application, as in tests."""
    shares: LoopShares | None = scope.get(_KEY)
    return shares


def is_pipelined_request(scope: Any) -> bool:
    return bool(scope.get(_IS_PIPELINED))


async def delay_request(scope: Any, seconds: float) -> None:
    """Waits, but no longer than the client stays connected."""
    is_disconnected: Callable[[], bool] = scope[_IS_DISCONNECTED]
    while seconds > 0 and not is_disconnected():
        await asyncio.sleep(min(seconds, _STEP_SECONDS))
        seconds -= _STEP_SECONDS
