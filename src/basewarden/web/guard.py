"""Which connections of one process are open, how many an address may have, and a regular look at each of them."""

import asyncio
import ipaddress
import resource
import time
from collections import Counter
from typing import Protocol

from basewarden.errors import AppError
from basewarden.settings import Network
from basewarden.web.budgets import RequestBudgets
from basewarden.web.refusals import Overloaded, TooManyConnections
from basewarden.web.turns import Turns

LOOK_SECONDS = 1.0
_LONGEST_LOOK_SECONDS, _PAUSE_SECONDS = 0.002, 0.02
# What a request's code does about its end comes on top of the look. Where more are open, more end at once.
_FEWEST_ENDED_AT_ONCE, _OPEN_FOR_EACH_ENDED = 2, 200
_RETRY = {"Retry-After": "1"}


class Watched(Protocol):
    def look(self, now: float) -> bool:
        """Whether it has ended because it waited for too long."""


class ConnectionGuard:
    """One for each process; it starts to look when the first connection comes and stops with the last."""

    def __init__(self, budgets: RequestBudgets) -> None:
        self.budgets = budgets
        self._most = min(budgets.connections, _count_room())
        self._open: dict[Watched, str | None] = {}
        self._counts: Counter[str] = Counter()
        self._is_looking = False
        self._unseen: list[Watched] = []
        self.turns = Turns()

    def admit(self, connection: Watched, peer: str | None) -> AppError | None:
        """The reason to turn it away, or None. Either way it is watched until `release`."""
        is_full = len(self._open) >= self._most
        counted = None if peer is None or is_in(peer, self.budgets.proxies) else find_network(peer)
        self._open[connection] = counted
        self._start_looking()
        if counted is not None:
            self._counts[counted] += 1
        if is_full:
            return Overloaded(headers=_RETRY)
        is_over = counted is not None and self._counts[counted] > self.budgets.connections_per_address
        return TooManyConnections(headers=_RETRY) if is_over else None

    def release(self, connection: Watched) -> None:
        counted = self._open.pop(connection, None)
        if counted is not None:
            _count_down(self._counts, counted)

    def _start_looking(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """A little at a time: where many came at once, many are to be ended at once."""
        loop = asyncio.get_running_loop()
        self._unseen = self._unseen or list(self._open)
        until, ended = time.perf_counter() + _LONGEST_LOOK_SECONDS, 0
        most = max(_FEWEST_ENDED_AT_ONCE, len(self._open) // _OPEN_FOR_EACH_ENDED)
        try:
            while self._unseen and ended < most and time.perf_counter() < until:
                connection = self._unseen.pop()
                if connection in self._open:
                    ended += connection.look(loop.time())
        finally:  # whatever one of them does, the others are looked at
            self._is_looking = False
            if self._unseen:
                self._is_looking = True
                loop.call_later(_PAUSE_SECONDS, self._look)
            elif self._open:
                self._start_looking()


class OpenRequests:
    """Requests in flight by client address, where a trusted proxy stands before us and connections tell nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()

    def enter(self, address: str) -> str:
        """The key to leave with. Raises TooManyConnections."""
        network = find_network(address)
        if self._counts[network] >= self._most:
            raise TooManyConnections(headers=_RETRY)
        self._counts[network] += 1
        return network

    def leave(self, network: str) -> None:
        _count_down(self._counts, network)


def raise_file_limit() -> None:
    """As many open files as the system lets this process have: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def find_network(address: str) -> str:
    """Whoever has one IPv6 address has all of its /64; anything else is itself."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed.packed[:8] + bytes(8), 64)))


def is_in(address: str, networks: tuple[Network, ...]) -> bool:
    """False for what is no address."""
    if not networks:
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _count_down(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


def _count_room() -> int:
    """Connections that leave enough open files for databases, logs and answers from elsewhere."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft == resource.RLIM_INFINITY else max(16, soft - max(256, soft // 4))
