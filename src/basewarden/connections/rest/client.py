"""Connections to one project's API: pooled, bounded, each to an address that was resolved and checked just before.

The client follows no redirects, stores no cookies, uses no proxy and does not decompress.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass

from basewarden import __version__
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.rest.connecting import connect_http, make_tls_context
from basewarden.connections.rest.http_connection import HTTPConnection, NoResponse
from basewarden.connections.rest.keys import ProjectKey
from basewarden.connections.rest.memory_limits import LargeBodySlot, get_process_slots
from basewarden.connections.rest.urls import RestAddress

USER_AGENT = f"basewarden/{__version__}"
_REUSED_FOR_READS = 20.0
_REUSED_FOR_WRITES = 4.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts in seconds."""

    connect: float = 5.0
    free_connection: float = 10.0
    head: float = 65.0  # hosted projects time out after 60 and say so
    idle: float = 30.0  # while reading a body: 1 KB must arrive in each span


class PoolExhausted(Exception):
    """All connections are in use, and none became free in time. Nothing was sent."""


class RestClient:
    def __init__(
        self,
        address: RestAddress,
        key: ProjectKey,
        *,
        allow_private: bool,
        size: int = 32,
        timeouts: Timeouts | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._allow_private = allow_private
        self._size = size
        self._timeouts = timeouts or Timeouts()
        self._tls = (tls or make_tls_context()) if address.is_encrypted else None
        own = (("host", address.authority), ("user-agent", USER_AGENT), *key.headers)
        self._own_headers = "".join(f"{name}: {value}\r\n" for name, value in own).encode()
        self._base = address.base.encode()
        self._idle: list[HTTPConnection] = []
        self._open: set[HTTPConnection] = set()
        self._opening = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_closed = False
        self._slots = asyncio.Semaphore(1)

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def make_head(self, method: str, target: str, headers: tuple[tuple[str, str], ...], length: int | None) -> bytes:
        """Builds the bytes of a request before its body, for any number of requests; `target` follows the base path."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        if length is not None:
            lines += f"content-length: {length}\r\n"
        start = f"{method} ".encode() + self._base + f"{target} HTTP/1.1\r\n".encode("ascii")
        return start + self._own_headers + lines.encode("latin-1") + b"\r\n"

    async def send(self, data: bytes, *, is_head: bool = False, is_repeatable: bool) -> HTTPConnection:
        """Sends a request and reads the head of the response; the caller must `release` the connection.

        Raises ConnectionFailed and PoolExhausted if nothing was sent, else HTTPFailure. A repeatable request is sent
        again if a reused connection turns out to be closed.
        """
        while True:
            reused_for = _REUSED_FOR_READS if is_repeatable else _REUSED_FOR_WRITES
            connection = await self._acquire(reused_for, checks_first=not is_repeatable)
            is_fresh = connection.exchanges == 0
            timeouts = self._timeouts
            try:
                connection.start(data, is_head=is_head, head_seconds=timeouts.head, idle_seconds=timeouts.idle)
                await connection.read_head()
            except NoResponse:
                self.release(connection)
                if is_fresh or not is_repeatable:
                    raise
            except BaseException:
                self.release(connection)
                raise
            else:
                return connection

    def release(self, connection: HTTPConnection) -> None:
        """Returns the connection to the pool if its exchange is complete, else closes it."""
        if connection.is_reusable and not self._is_closed:
            connection.set_idle()
            self._idle.append(connection)
            self._notify_next()
        else:
            connection.abort()

    def open_slot(self) -> LargeBodySlot:
        """Returns a slot for reading a whole body, to be used with `async with`."""
        return LargeBodySlot(self._slots, get_process_slots())

    async def read_whole(self, connection: HTTPConnection, limit: int) -> bytes:
        """Reads the rest of the body; a large one waits for a slot. Raises ProtocolError above the limit."""
        async with self.open_slot() as slot:
            return await slot.read_whole(connection, limit)

    async def close(self) -> None:
        self._is_closed = True
        for connection in list(self._open):
            connection.abort()
        while self._waiting:
            self._notify_next()

    async def _acquire(self, reused_for: float, *, checks_first: bool) -> HTTPConnection:
        if self._waiting:
            await self._wait_for_room()
        while not self._idle and self._is_full:
            await self._wait_for_room()
        while self._idle:
            connection = self._idle.pop()
            if checks_first:
                await self._detect_close(connection)
            if not connection.is_lost and connection.idle_seconds < reused_for:
                return connection
            connection.abort()
            self._open.discard(connection)
        return await self._open_new()

    async def _detect_close(self, connection: HTTPConnection) -> None:
        """Lets the event loop process a close that has arrived, because a write cannot be repeated."""
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            connection.abort()  # it is no longer in the pool
            raise

    @property
    def _is_full(self) -> bool:
        return len(self._open) + self._opening >= self._size

    async def _wait_for_room(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._timeouts.free_connection):
                await turn
        except TimeoutError:
            self._pass_slot_on(turn)
            raise PoolExhausted from None
        except asyncio.CancelledError:
            self._pass_slot_on(turn)
            raise
        finally:
            if turn in self._waiting:  # a release may have passed over a cancelled turn already
                self._waiting.remove(turn)

    def _pass_slot_on(self, turn: asyncio.Future[None]) -> None:
        """Passes a slot on that was granted as this request timed out."""
        if turn.done() and not turn.cancelled():
            self._notify_next()

    def _notify_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _open_new(self) -> HTTPConnection:
        if self._is_closed:
            raise ConnectionFailed(Reason.REFUSED)
        self._opening += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._notify_next()
            raise
        finally:
            self._opening -= 1
        if connection.is_lost:
            raise ConnectionFailed(Reason.REFUSED)
        self._open.add(connection)
        return connection

    async def _connect(self) -> HTTPConnection:
        return await connect_http(
            self._address,
            allow_private=self._allow_private,
            tls=self._tls,
            seconds=self._timeouts.connect,
            on_lost=self._forget,
        )

    def _forget(self, connection: HTTPConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._notify_next()
