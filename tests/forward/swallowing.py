"""A hop between us and a project's API that breaks at a chosen moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from tests.fixtures.app import pick_port

Mood = Literal["kind", "deaf", "swallowing", "stuttering"]


class Hop:
    """`deaf`: hangs up before it passes anything on. `swallowing`: once the answer has come it hangs up instead of
    passing it on. `stuttering`: passes on the first half of the answer.

    Only writes are treated so.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self.mood: Mood = "kind"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _read_message(reader)
            if request and not (self.mood == "deaf" and _is_write(request)):
                writer.write(self._spoil(request, await self._ask(request)))
                await writer.drain()
        writer.close()

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        writer.write(request)
        answer = await _read_message(reader)
        writer.close()
        return answer

    def _spoil(self, request: bytes, answer: bytes) -> bytes:
        if self.mood == "kind" or not _is_write(request):
            return answer
        return b"" if self.mood == "swallowing" else answer[: len(answer) - 5]


def _is_write(request: bytes) -> bool:
    return not request.startswith(b"GET ")


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


@asynccontextmanager
async def open_hop(target: int) -> AsyncIterator[Hop]:
    with pick_port() as listener:
        hop = Hop(listener.getsockname()[1], target)
        async with await asyncio.start_server(hop.serve, sock=listener):
            yield hop
