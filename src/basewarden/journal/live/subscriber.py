"""One open stream: what it still has to send, and whether its person may still read it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from basewarden.journal.live.events import StreamMessage

MAX_PENDING_BYTES = 64 * 1024
"""A client that reads more slowly is disconnected, and continues where it was when it connects again."""


@dataclass(eq=False, slots=True)
class Subscriber:
    """`session_id` None = all sessions of the connection. `signin` is the hash of the session cookie, in hex."""

    connection_id: UUID
    person_id: UUID
    signin: str
    session_id: UUID | None
    position: str = ""
    is_ended: bool = False
    must_check: bool = False
    _pending: list[bytes] = field(default_factory=list)
    _size: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, messages: Sequence[StreamMessage], position: str) -> None:
        """Queues what concerns this stream; ends the stream if the client does not keep up."""
        self.position = position
        for message in messages:
            if message.is_for_all or self.session_id in (None, message.session_id):
                self._pending.append(message.body)
                self._size += len(message.body)
        if self._size > MAX_PENDING_BYTES:
            self._pending.clear()
            self.end()
        elif self._pending:
            self._changed.set()

    def end(self, *_: Any) -> None:
        self.is_ended = True
        self._changed.set()

    def doubt(self) -> None:
        """Lets the stream check its sign-in session before it sends anything more."""
        self.must_check = True
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Waits for messages, a doubt or the end, no longer than this."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    def take(self) -> bytes:
        taken = b"".join(self._pending)
        self._pending.clear()
        self._size = 0
        return taken
