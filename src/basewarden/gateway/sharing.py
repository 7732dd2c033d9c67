"""How callers share a project's database connections, and how much memory its responses may take."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

from basewarden.core.allocator import Trimming
from basewarden.errors import Unavailable
from basewarden.settings import Settings
from pgrest import MemoryBudget, Terms

POOL_SIZE = 20
# A read keeps the project's processor busy. A write mostly waits, for the journal's disk and for the project's.
_MOST_READS_OF_ONE, _MOST_OF_ONE = 8, 16
# Agents together leave connections for people, and people leave one for undo and snapshots.
_LEFT_BY_AGENTS, _LEFT_BY_MEMBERS = 3, 1
_MEGABYTE = 1_000_000
PIECE_BYTES = 262_144
_PIECE_SECONDS = 60.0
"""A client that takes no more for so long does not want the rest."""
SNAPSHOT = Terms(seconds=120, most_bytes=256 * _MEGABYTE)
UNDO = Terms(seconds=600, most_bytes=256 * _MEGABYTE)
"""Triggers of the project's run in it: they may not keep a connection, and locks, for ever."""
SCAN = Terms(most_at_once=2, leaves_free=3, seconds=30, most_bytes=32 * _MEGABYTE)
CHANGE = Terms(leaves_free=3, seconds=60, most_bytes=64 * _MEGABYTE)
"""What a person changes in a project's catalog; it needs a second connection while it holds one."""
STATUS_QUERY = Terms(seconds=10, most_bytes=_MEGABYTE)


@dataclass(frozen=True, slots=True)
class Shares:
    """The limits of one caller's reads and of its writes."""

    reading: Terms
    writing: Terms

    @classmethod
    def of(cls, leaves_free: int, seconds: float, most_bytes: int) -> Self:
        reading = Terms(_MOST_READS_OF_ONE, leaves_free, seconds, most_bytes)
        return cls(reading, replace(reading, most_at_once=_MOST_OF_ONE))


@dataclass(frozen=True, slots=True)
class PoolSharing:
    """`memory` is the whole process's; a project may have half of it."""

    agents: "Shares"
    members: "Shares"
    memory: MemoryBudget

    @classmethod
    def of(cls, settings: Settings) -> Self:
        most_bytes = settings.max_answer_mb * _MEGABYTE
        agents = Shares.of(_LEFT_BY_AGENTS, settings.agent_query_seconds, most_bytes)
        members = Shares.of(_LEFT_BY_MEMBERS, settings.member_query_seconds, most_bytes)
        memory = MemoryBudget(settings.answer_memory_mb * _MEGABYTE, on_release=Trimming().note_freed)
        return cls(agents, members, memory)

    def open_budget(self) -> MemoryBudget:
        """One project's part."""
        return MemoryBudget(self.memory.most // 2, self.memory)

    @contextmanager
    def holding(self, body: bytes | memoryview) -> Iterator[None]:
        """Counts a large answer while a client takes it."""
        self.memory.hold(len(body))
        try:
            yield
        finally:
            self.memory.release(len(body))


async def send_in_pieces(send: Any, body: bytes | memoryview) -> None:
    """The server below us keeps what it cannot send yet: a little of it, not all."""
    whole = memoryview(body)
    for start in range(0, len(body), PIECE_BYTES):
        is_last = start + PIECE_BYTES >= len(body)
        piece = bytes(whole[start : start + PIECE_BYTES])
        try:
            async with asyncio.timeout(_PIECE_SECONDS):
                await send({"type": "http.response.body", "body": piece, "more_body": not is_last})
        except TimeoutError:
            raise Unavailable from None  # the answer has begun, so the connection is just closed
