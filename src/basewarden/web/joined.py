"""Writes a response with few system calls, and its constant headers without a check of each.

Each write to a socket is a system call, so the writes of one iteration of the event loop are joined. uvicorn checks and
copies each header of each response, so the lines that are the same for all are added to the head as they are.
"""

from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable
from typing import Any

_MOST_HELD_BYTES = 65_536
_KEY = "basewarden.add_to_head"
_HEAD, _INTERIM, _END = b"HTTP/1.1 ", b"HTTP/1.1 1", b"\r\n"
AddToHead = Callable[[bytes], None]


class JoinedWrites:
    """Replaces the transport of a response, so that its head and its body become one write.

    Data is held until the end of the loop's iteration, until `flush`, or up to 64 KB.
    """

    __slots__ = ("_added", "_held", "_loop", "_size", "_transport")

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0
        self._added = b""

    def add_to_head(self, lines: bytes) -> None:
        """`lines` are whole header lines, each with its line end, for the next head."""
        self._added = lines

    def write(self, data: bytes) -> None:
        if self._added and data.startswith(_HEAD) and not data.startswith(_INTERIM):
            data, self._added = b"%b%b\r\n" % (data[: -len(_END)], self._added), b""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > _MOST_HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._held:
            held, is_large = self._held, self._size > _MOST_HELD_BYTES
            self._held, self._size = [], 0
            if self._transport.is_closing():
                return
            if is_large:
                self._transport.writelines(held)
            else:  # one small buffer is cheaper to send than two
                self._transport.write(b"".join(held))

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self.flush()
        self._transport.close()


def attach_head(scope: Any, joined: JoinedWrites) -> None:
    scope[_KEY] = joined.add_to_head


def find_head(scope: Any) -> AddToHead | None:
    """Returns None where another server runs the application, as in tests."""
    add: AddToHead | None = scope.get(_KEY)
    return add
