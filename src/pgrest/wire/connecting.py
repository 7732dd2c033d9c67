"""Connects to an untrusted server: in bounded time, and reading a bounded number of bytes."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgrest.wire.budget import Meter
from pgrest.wire.polling import Polling
from pgrest.wire.valve import Valve

CONNECT_BYTES = 65_536
"""What a server may say before it is ready: certificates, its settings, a few notices."""
_PER_ADDRESS = ("host", "hostaddr", "port")


async def open_guarded(dsn: str, *, seconds: float) -> psycopg.AsyncConnection[Any]:
    """`dsn` names numeric addresses, which are tried in turn. Raises psycopg.OperationalError."""
    attempts = list(_list_attempts(dsn))
    until = asyncio.get_running_loop().time() + seconds
    failure = psycopg.OperationalError("no address to connect to")
    for left, conninfo in zip(range(len(attempts), 0, -1), attempts, strict=True):
        share = (until - asyncio.get_running_loop().time()) / left
        try:
            attempt = _Attempt(conninfo)
            async with asyncio.timeout(share):
                await attempt.connect()
        except TimeoutError:
            failure = psycopg.errors.ConnectionTimeout("connection timeout expired")
        except psycopg.OperationalError as error:
            failure = error
        else:
            return psycopg.AsyncConnection(attempt.pg)
    raise failure


def _list_attempts(dsn: str) -> Iterator[str]:
    """One string for each address: libpq itself would give the first one all the time."""
    parameters = conninfo_to_dict(dsn)
    lists = {name: str(parameters[name]).split(",") for name in _PER_ADDRESS if parameters.get(name) is not None}
    for number in range(max((len(values) for values in lists.values()), default=1)):
        chosen = {name: values[min(number, len(values) - 1)] for name, values in lists.items()}
        yield make_conninfo("", **{**parameters, **chosen})


def _name_server(conninfo: str) -> str:
    parameters = conninfo_to_dict(conninfo)
    return f"{parameters.get('hostaddr')} {parameters.get('port')}"


class _Attempt:
    def __init__(self, conninfo: str) -> None:
        self.pg = pq.PGconn.connect_start(conninfo.encode())
        self._polling = Polling(self.pg, _name_server(conninfo))
        self.valve: Valve | None = None
        self._loop = asyncio.get_running_loop()
        self._meter = Meter(CONNECT_BYTES)
        self._ready: asyncio.Future[None] = self._loop.create_future()

    async def connect(self) -> None:
        try:
            await self._poll()
            self._remove_valve()
        except BaseException:
            self._polling.end()
            self._close_valve()
            raise

    async def _poll(self) -> None:
        while True:
            status = pq.PollingStatus.FAILED if self.pg.status == pq.ConnStatus.BAD else await self._polling.step()
            if status == pq.PollingStatus.OK:
                return
            if status == pq.PollingStatus.FAILED:
                raise psycopg.OperationalError(self.pg.get_error_message().strip())
            if status == pq.PollingStatus.READING:
                self._put_valve()
            await self._wait(reads=status == pq.PollingStatus.READING)

    def _put_valve(self) -> None:
        """Once libpq is connected, and again where it has opened another socket."""
        if self.valve is not None and not self.valve.holds(self.pg.socket):
            self._close_valve()
        if self.valve is None:
            self.valve = Valve(self.pg.socket, self._count)

    def _remove_valve(self) -> None:
        if self.valve is not None and not self.valve.remove():
            raise psycopg.OperationalError("the server says too much before it is asked")
        self.valve = None

    def _close_valve(self) -> None:
        if self.valve is not None:
            self.valve.close()
            self.valve = None

    def _count(self, size: int) -> bool:
        if self._meter.count(size) is None:
            return True
        if not self._ready.done():
            self._ready.set_exception(psycopg.OperationalError("the server says too much before it is ready"))
        return False

    async def _wait(self, *, reads: bool) -> None:
        ready, descriptor = self._ready, self.pg.socket
        watch, forget = (
            (self._loop.add_reader, self._loop.remove_reader)
            if reads
            else (self._loop.add_writer, self._loop.remove_writer)
        )
        watch(descriptor, _set_ready, ready)
        try:
            await ready
        finally:
            forget(descriptor)
        self._ready = self._loop.create_future()


def _set_ready(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
