"""Connections to one project's API: reused, bounded, each to an address that was resolved and checked just before.

No redirect is followed, no cookie kept, no proxy of our environment asked; what was compressed stays so.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from functools import cache

from basewarden import __version__
from basewarden.connections.addresses import pin_host
from basewarden.connections.errors import ConnectionFailed, Reason
from basewarden.connections.rest.budgets import LargeTurn, get_process_turns
from basewarden.connections.rest.keys import ProjectKey
from basewarden.connections.rest.urls import RestAddress
from basewarden.connections.rest.wire import HTTPConnection, NoAnswer

USER_AGENT = f"basewarden/{__version__}"
_REUSED_FOR_READS = 20.0
_REUSED_FOR_WRITES = 4.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    connect: float = 5.0
    free_connection: float = 10.0
    head: float = 65.0  # hosted projects give up after 60 themselves, and say so
    idle: float = 30.0  # of a body: in each such span 1 KB has to come


class AllBusy(Exception):
    """Every connection is in use, and none became free in time. Nothing was sent."""


class RestClient:
    def __init__(
        self,
        address: RestAddress,
        key: ProjectKey,
        *,
        allow_private: bool,
        size: int = 32,
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._address = address
        self._allow_private = allow_private
        self._size = size
        self._patience = patience or Patience()
        self._tls = (tls or make_tls_context()) if address.is_encrypted else None
        own = (("host", address.authority), ("user-agent", USER_AGENT), *key.headers)
        self._own_headers = "".join(f"{name}: {value}\r\n" for name, value in own).encode()
        self._base = address.base.encode()
        self._idle: list[HTTPConnection] = []
        self._open: set[HTTPConnection] = set()
        self._dialing = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_closed = False
        self._turns = asyncio.Semaphore(1)

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def make_head(self, method: str, target: str, headers: tuple[tuple[str, str], ...], length: int | None) -> bytes:
        """The bytes of a request before its body; `target` is what follows the base. May be sent again and again."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        if length is not None:
            lines += f"content-length: {length}\r\n"
        start = f"{method} ".encode() + self._base + f"{target} HTTP/1.1\r\n".encode("ascii")
        return start + self._own_headers + lines.encode("latin-1") + b"\r\n"

    async def send(self, data: bytes, *, is_head: bool = False, may_repeat: bool) -> HTTPConnection:
        """The connection, with the head of the answer read; `done` must follow, whatever happens.

        Raises ConnectionFailed and AllBusy where nothing was sent, else what `HTTPConnection` raises. What may be
        repeated is sent once more when a connection that was used before turns out to have ended.
        """
        while True:
            reused_for = _REUSED_FOR_READS if may_repeat else _REUSED_FOR_WRITES
            connection = await self._acquire(reused_for, looks_first=not may_repeat)
            is_fresh = connection.exchanges == 0
            patience = self._patience
            try:
                connection.start(data, is_head=is_head, head_seconds=patience.head, idle_seconds=patience.idle)
                await connection.read_head()
            except NoAnswer:
                self.done(connection)
                if is_fresh or not may_repeat:
                    raise
            except BaseException:
                self.done(connection)
                raise
            else:
                return connection

    def done(self, connection: HTTPConnection) -> None:
        """Back among the idle ones if its exchange came to its end, else it ends."""
        if connection.is_reusable and not self._is_closed:
            connection.rest()
            self._idle.append(connection)
            self._wake_next()
        else:
            connection.abort()

    def open_turn(self) -> LargeTurn:
        """For what is to be read whole; `async with`."""
        return LargeTurn(self._turns, get_process_turns())

    async def read_whole(self, connection: HTTPConnection, limit: int) -> bytes:
        """The rest of the body; Garbled where it is larger than that. A large one waits for its turn."""
        async with self.open_turn() as turn:
            return await turn.read_whole(connection, limit)

    async def close(self) -> None:
        self._is_closed = True
        for connection in list(self._open):
            connection.abort()
        while self._waiting:
            self._wake_next()

    async def _acquire(self, reused_for: float, *, looks_first: bool) -> HTTPConnection:
        if self._waiting:
            await self._wait_for_room()
        while not self._idle and self._is_full:
            await self._wait_for_room()
        while self._idle:
            connection = self._idle.pop()
            if looks_first:
                await self._look_for_its_end(connection)
            if not connection.is_lost and connection.idle_seconds < reused_for:
                return connection
            connection.abort()
            self._open.discard(connection)
        return await self._dial()

    async def _look_for_its_end(self, connection: HTTPConnection) -> None:
        """So that one which came meanwhile is known: a write is not sent again."""
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            connection.abort()  # it is not among the idle ones by now
            raise

    @property
    def _is_full(self) -> bool:
        return len(self._open) + self._dialing >= self._size

    async def _wait_for_room(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._patience.free_connection):
                await turn
        except TimeoutError:
            self._pass_on(turn)
            raise AllBusy from None
        except asyncio.CancelledError:
            self._pass_on(turn)
            raise
        finally:
            if not turn.done() or turn.cancelled():
                self._waiting.remove(turn)

    def _pass_on(self, turn: asyncio.Future[None]) -> None:
        """A turn that came as we gave up is the next one's."""
        if turn.done() and not turn.cancelled():
            self._wake_next()

    def _wake_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _dial(self) -> HTTPConnection:
        if self._is_closed:
            raise ConnectionFailed(Reason.REFUSED)
        self._dialing += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._wake_next()
            raise
        finally:
            self._dialing -= 1
        if connection.is_lost:
            raise ConnectionFailed(Reason.REFUSED)
        self._open.add(connection)
        return connection

    async def _connect(self) -> HTTPConnection:
        """The first address that answers, of those that the host has now."""
        addresses = await pin_host(self._address.host, self._address.port, allow_private=self._allow_private)
        failure = ConnectionFailed(Reason.TIMED_OUT)
        try:
            async with asyncio.timeout(self._patience.connect):
                for address in addresses:
                    try:
                        return await self._connect_to(address)
                    except OSError as error:
                        failure = ConnectionFailed(explain_os_error(error))
        except TimeoutError:
            raise ConnectionFailed(Reason.TIMED_OUT) from None
        raise failure

    async def _connect_to(self, address: str) -> HTTPConnection:
        loop = asyncio.get_running_loop()
        name = self._address.host if self._tls is not None else None
        _, connection = await loop.create_connection(
            lambda: HTTPConnection(self._forget), address, self._address.port, ssl=self._tls, server_hostname=name
        )
        return connection

    def _forget(self, connection: HTTPConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake_next()


@cache
def make_tls_context() -> ssl.SSLContext:
    """Verifies the certificate against the name, whatever address was pinned."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def explain_os_error(error: OSError) -> Reason:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Reason.CERTIFICATE_INVALID
    if isinstance(error, ssl.SSLError):
        return Reason.TLS_REFUSED
    if isinstance(error, ConnectionRefusedError):
        return Reason.REFUSED
    return Reason.TIMED_OUT if isinstance(error, TimeoutError) else Reason.UNREACHABLE
