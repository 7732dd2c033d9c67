"""Limits each caller's share of the event loop, while callers who use little of it are active.

Anonymous requests are charged to their address: above its share, answers are delayed, which slows clients that wait
for them. A known caller's next request starts later. No request is refused. Health checks are hardly delayed, because
an orchestrator would restart the process.
See docs/decisions/0029-limit-each-callers-share-of-the-event-loop.md.
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
"""How much the last request counts in the mean."""
_FIRST, _PART, _MUCH_SECONDS = 8, 1 / 8, 0.002
"""The first requests of a caller are measured, then this part of them, and all where the mean is this much."""
_KEY, _SENT_AHEAD, _HAS_GONE = "basewarden.turns", "basewarden.sent_ahead", "basewarden.has_gone"
_STEP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Allowance:
    """`share` is of the loop's time, as the stopwatch counts it; `burst` are seconds of it that are free.

    `longest` are the seconds of a wait, `each` those that it may take for each request of the caller that waits then.
    So a client that sends one request after the other waits little, and a flood gets 1 / `each` requests a second, or
    one for each connection in `longest` seconds where that is more.
    """

    share: float
    burst: float
    longest: float
    each: float = 0.25


STRANGER = Allowance(share=0.02, burst=0.5, longest=10.0)
"""for one address or IPv6 network: an office that opens the pages for the first time takes some tenths of a second"""
KNOWN = Allowance(share=0.2, burst=0.5, longest=10.0)
"""for one agent or person"""


class Turn(NamedTuple):
    """`wait` and `assumed` (the expected cost) are in seconds; `leave` must follow where `is_measured`."""

    wait: float
    is_measured: bool
    assumed: float


WITHOUT_TURNS = Turn(0.0, is_measured=False, assumed=0.0)


class _Usage:
    """Seconds: those taken beyond the share, and what a request takes on the average."""

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
        """For how long at most, by the number of those that wait already."""
        waiting = sum(end > now for end in self._waiting)
        wait = min(wanted, self._allowance.each * (1 + waiting))
        self._waiting.append(now + wait)
        return wait

    def take_check(self, now: float) -> bool:
        """Whether a health check is one of the few that are never delayed."""
        if len(self._checks) == _HEALTH_CHECKS_PER_SECOND and now - self._checks[0] < 1:
            return False
        self._checks.append(now)
        return True

    def forgive(self) -> None:
        """Time that no other caller needed is not owed later."""
        self.taken = min(self.taken, self._allowance.burst)


class Turns:
    """One for each process."""

    def __init__(self) -> None:
        self._strangers: dict[str, _Usage] = {}
        self._known: dict[str, _Usage] = {}
        self._last = self._other = ("", float("-inf"))

    def charge(self, address: str, seconds: float, path: str = "", *, sent_ahead: bool = False) -> float:
        """A stranger's request has taken so long. How many seconds its answer has to wait."""
        account = _open_account(self._strangers, address, STRANGER)
        account.taken += seconds
        if sent_ahead or path not in (_LIVE, _HEALTH):
            return self._decide(address, account)
        if path == _LIVE or account.take_check(time.monotonic()):
            return 0.0
        return min(_LONGEST_HEALTH_WAIT, self._decide(address, account))

    def enter(self, caller: str) -> Turn:
        """A known caller's request is about to begin."""
        account = _open_account(self._known, caller, KNOWN)
        account.taken += account.mean
        account.number += 1
        is_measured = account.mean > _MUCH_SECONDS or account.number < _FIRST or _is_sampled()
        return Turn(self._decide(caller, account), is_measured, account.mean)

    def leave(self, caller: str, turn: Turn, seconds: float) -> None:
        """The request has taken so long."""
        account = _open_account(self._known, caller, KNOWN)
        account.taken += seconds - turn.assumed
        account.mean += (seconds - account.mean) * _NEWEST

    def see(self, caller: str, now: float | None = None) -> None:
        """Notes a request of a caller who uses little."""
        if self._last[0] != caller:
            self._other = self._last
        self._last = (caller, time.monotonic() if now is None else now)

    def _decide(self, caller: str, account: _Usage) -> float:
        now = time.monotonic()
        wait = account.find_wait(now)
        if not wait:
            self.see(caller, now)
            return 0.0
        _, seen = self._other if self._last[0] == caller else self._last
        if now - seen < _OTHERS_SECONDS:
            return account.begin_wait(wait, now)
        account.forgive()
        return 0.0


def _is_sampled() -> bool:
    """A fixed rhythm could be avoided."""
    return random.random() < _PART  # noqa: S311 - a sample, not a secret


def _open_account(accounts: dict[str, _Usage], key: str, allowance: Allowance) -> _Usage:
    account = accounts.get(key)
    if account is None:
        if len(accounts) >= _MOST_ACCOUNTS:
            accounts.clear()
        account = accounts[key] = _Usage(allowance)
    return account


def attach_turns(scope: Any, turns: Turns, *, sent_ahead: bool, has_gone: Callable[[], bool]) -> None:
    """`sent_ahead`: the request before it on the same connection has no answer yet; `has_gone`: the client has left."""
    scope[_KEY], scope[_SENT_AHEAD], scope[_HAS_GONE] = turns, sent_ahead, has_gone


def find_turns(scope: Any) -> Turns | None:
    """None where something else than our server runs the application."""
    turns: Turns | None = scope.get(_KEY)
    return turns


def was_sent_ahead(scope: Any) -> bool:
    return bool(scope.get(_SENT_AHEAD))


async def wait_for_turn(scope: Any, seconds: float) -> None:
    """No longer than the client waits."""
    has_gone: Callable[[], bool] = scope[_HAS_GONE]
    while seconds > 0 and not has_gone():
        await asyncio.sleep(min(seconds, _STEP_SECONDS))
        seconds -= _STEP_SECONDS
