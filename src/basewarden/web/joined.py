"""Joins the writes of one iteration of the event loop, because each write to a socket is a system call."""

from asyncio import AbstractEventLoop, Transport

_MOST_HELD_BYTES = 65_536


class JoinedWrites:
    """Replaces the transport of a response: its head and its body become one write.

    Nothing is held past the turn of the loop, past `flush`, or beyond 64 KB.
    """

    __slots__ = ("_held", "_loop", "_size", "_transport")

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
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
