"""Lets libpq read a little at a time.

libpq grows its buffer to whatever length a message announces, and one call then reads for as long as the sender keeps
up: hundreds of megabytes, while nothing else runs. So where an answer is long, libpq's file descriptor becomes one end
of a socket pair, and what comes from the network is counted and passed on in small pieces. TLS is libpq's own and does
not notice.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
import termios
import time
from array import array
from collections.abc import Callable

_PIECE = 65536
_AT_ONCE_BYTES, _REST_SECONDS = 1_000_000, 0.001
"""Longer answers come in piece after piece, all of a process in turn: some 60 MB/s, and a tenth of the loop's time."""


def count_waiting(descriptor: int) -> int:
    """The bytes that can be read at once."""
    count = array("i", (0,))
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


class _Pace:
    """When the next piece of a long answer may be taken in."""

    def __init__(self) -> None:
        self._next = 0.0

    def find_delay(self, now: float, size: int) -> float:
        """After a piece of `size` bytes. A small one counts as a quarter of a whole one."""
        self._next = max(self._next, now) + _REST_SECONDS * max(0.25, size / _PIECE)
        return self._next - now


_pace = _Pace()


class Valve:
    """Takes the place of `descriptor`, which no other code may watch meanwhile, until `remove` or `close`.

    `on_bytes` hears how many bytes have come, before they are passed on; False keeps them and all that follow back.
    """

    def __init__(self, descriptor: int, on_bytes: Callable[[int], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._on_bytes = on_bytes
        self._network = socket.socket(fileno=os.dup(descriptor))
        self._ours, theirs = socket.socketpair()
        for end in (self._network, self._ours, theirs):
            end.settimeout(0)
        os.dup2(theirs.fileno(), descriptor, inheritable=False)
        theirs.close()
        self._inode = os.fstat(descriptor).st_ino
        self._inward = self._outward = b""
        self._is_closed = False
        self._passed = 0
        self._resting: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._network, self._take_in)
        self._loop.add_reader(self._ours, self._take_out)

    def holds(self, descriptor: int) -> bool:
        """False once libpq has closed it and opened another one."""
        try:
            return descriptor == self._descriptor and os.fstat(descriptor).st_ino == self._inode
        except OSError:
            return False

    def remove(self) -> bool:
        """Gives libpq its socket back, unless something is still on its way."""
        is_empty = not self._inward and not self._outward and not count_waiting(self._descriptor)
        if not is_empty or count_waiting(self._ours.fileno()):
            return False
        self._stop()
        os.dup2(self._network.fileno(), self._descriptor, inheritable=False)
        self._network.close()
        self._ours.close()
        return True

    def close(self) -> None:
        """For good: libpq finds its socket ended. What it has said already, a goodbye perhaps, goes out if it can."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop()
        with contextlib.suppress(OSError):
            self._network.send(self._ours.recv(_PIECE))
        self._network.close()
        self._ours.close()

    def _stop(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
        for end in (self._network, self._ours):
            self._loop.remove_reader(end)
            self._loop.remove_writer(end)

    # From the network to libpq --------------------------------------------------------------------------

    def _take_in(self) -> None:
        data = _receive(self._network)
        if data is None:
            return
        if not data:
            self._loop.remove_reader(self._network)
            self._ours.shutdown(socket.SHUT_WR)
        elif self._on_bytes(len(data)):
            self._passed += len(data)
            self._inward = data
            self._pass_in()
            if self._passed > _AT_ONCE_BYTES and not self._inward:
                self._rest(len(data))
        elif not self._is_closed:
            self._loop.remove_reader(self._network)

    def _rest(self, size: int) -> None:
        self._loop.remove_reader(self._network)
        self._resting = self._loop.call_later(_pace.find_delay(time.monotonic(), size), self._go_on)

    def _go_on(self) -> None:
        self._loop.add_reader(self._network, self._take_in)

    def _pass_in(self) -> None:
        self._inward = self._inward[_send(self._ours, self._inward) :]
        if self._inward:
            self._loop.remove_reader(self._network)
            self._loop.add_writer(self._ours, self._pass_in)
        else:
            self._loop.remove_writer(self._ours)
            self._loop.add_reader(self._network, self._take_in)

    # From libpq to the network --------------------------------------------------------------------------

    def _take_out(self) -> None:
        data = _receive(self._ours)
        if data is None:
            return
        if not data:
            self._loop.remove_reader(self._ours)
            return
        self._outward = data
        self._pass_out()

    def _pass_out(self) -> None:
        self._outward = self._outward[_send(self._network, self._outward) :]
        if self._outward:
            self._loop.remove_reader(self._ours)
            self._loop.add_writer(self._network, self._pass_out)
        else:
            self._loop.remove_writer(self._network)
            self._loop.add_reader(self._ours, self._take_out)


def _receive(end: socket.socket) -> bytes | None:
    """None where nothing has come after all, empty at the end."""
    try:
        return end.recv(_PIECE)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


def _send(end: socket.socket, data: bytes) -> int:
    """How much of it went. What cannot be sent any more has gone too: reading shows the end."""
    try:
        return end.send(data)
    except (BlockingIOError, InterruptedError):
        return 0
    except OSError:
        return len(data)
