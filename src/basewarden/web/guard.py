"""Limits the open connections of a process and of an address, and checks their timeouts regularly."""

import asyncio
import ipaddress
import resource
import time
from collections import Counter
from typing import Protocol

from basewarden.errors import AppError
from basewarden.settings import Network
from basewarden.web.budgets import RequestBudgets
from basewarden.web.draining import Draining
from basewarden.web.loop_shares import LoopShares
from basewarden.web.refusals import Overloaded, TooManyConnections

CHECK_SECONDS = 1.0
_MAX_CHECK_SECONDS, _PAUSE_SECONDS = 0.002, 0.02
# The clean-up of a request comes on top of the check. If more connections are open, more may be closed at once.
_FEWEST_ENDED_AT_ONCE, _OPEN_FOR_EACH_ENDED = 2, 200
_RETRY = {"Retry-After": "1"}


class GuardedConnection(Protocol):
    def check_timeouts(self, now: float) -> bool:
        """Closes the connection if it has waited for too long; returns whether it did."""


class ConnectionGuard:
    """One for each process. Checks begin with the first open connection and stop with the last."""

    def __init__(self, budgets: RequestBudgets) -> None:
        self.budgets = budgets
        self._most = min(budgets.connections, _count_room())
        self._open: dict[GuardedConnection, str | None] = {}
        self._counts: Counter[str] = Counter()
        self._is_scheduled = False
        self._unchecked: list[GuardedConnection] = []
        self.loop_shares = LoopShares()
        self.draining = Draining()

    def admit(self, connection: GuardedConnection, peer: str | None) -> AppError | None:
        """Returns the reason to refuse it, or None. In both cases it is checked until `release`."""
        is_full = len(self._open) >= self._most
        counted = None if peer is None or is_in(peer, self.budgets.proxies) else find_network(peer)
        self._open[connection] = counted
        self._schedule_check()
        if counted is not None:
            self._counts[counted] += 1
        if is_full:
            return Overloaded(headers=_RETRY)
        is_over = counted is not None and self._counts[counted] > self.budgets.connections_per_address
        return TooManyConnections(headers=_RETRY) if is_over else None

    def release(self, connection: GuardedConnection) -> None:
        counted = self._open.pop(connection, None)
        if counted is not None:
            _count_down(self._counts, counted)

    def _schedule_check(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_later(CHECK_SECONDS, self._check_some)

    def _check_some(self) -> None:
        """Checks for 2 ms at most and continues later, because many connections may time out at once."""
        loop = asyncio.get_running_loop()
        self._unchecked = self._unchecked or list(self._open)
        until, ended = time.perf_counter() + _MAX_CHECK_SECONDS, 0
        most = max(_FEWEST_ENDED_AT_ONCE, len(self._open) // _OPEN_FOR_EACH_ENDED)
        try:
            while self._unchecked and ended < most and time.perf_counter() < until:
                connection = self._unchecked.pop()
                if connection in self._open:
                    ended += connection.check_timeouts(loop.time())
        finally:  # an error of one connection must not stop the checks of the others
            self._is_scheduled = False
            if self._unchecked:
                self._is_scheduled = True
                loop.call_later(_PAUSE_SECONDS, self._check_some)
            elif self._open:
                self._schedule_check()


class OpenRequests:
    """Counts requests in flight by client address, for use behind a trusted proxy, whose connections are shared."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()

    def enter(self, address: str) -> str:
        """Returns the key to leave with. Raises TooManyConnections."""
        network = find_network(address)
        if self._counts[network] >= self._most:
            raise TooManyConnections(headers=_RETRY)
        self._counts[network] += 1
        return network

    def leave(self, network: str) -> None:
        _count_down(self._counts, network)


def raise_file_limit() -> None:
    """Raises the limit of open files as far as the system allows: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def find_network(address: str) -> str:
    """Returns the /64 of an IPv6 address, since one client has all of it, and any other address as it is."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed.packed[:8] + bytes(8), 64)))


def is_in(address: str, networks: tuple[Network, ...]) -> bool:
    """Returns False for anything that is not an address."""
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
    """The number of connections that leaves enough open files for databases, logs and requests to other servers."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft == resource.RLIM_INFINITY else max(16, soft - max(256, soft // 4))
