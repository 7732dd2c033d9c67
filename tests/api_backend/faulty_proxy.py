"""A proxy between the product and a project's API that fails at a chosen moment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

from tests.fixtures.ports import open_listener

ProxyFault = Literal["none", "drop_request", "drop_answer", "truncate_answer", "no_answer"]


class FaultyProxy:
    """`drop_request`: disconnects before it passes anything on. `drop_answer`: disconnects instead of passing the answer
    on. `truncate_answer`: passes on all but the end of the answer. `no_answer`: never answers.

    `answers` are what the next writes get instead of their own, where not None; `refuse` gives one by the request.
    Only writes are treated so. `writes` counts those that came.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self._target = target
        self.fault: ProxyFault = "none"
        self.answers: list[bytes | None] = []
        self.refuse: Callable[[bytes], bytes | None] = lambda _: None
        self.writes = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while not reader.at_eof():
                await self._pass(await _read_message(reader), reader, writer)
        writer.close()

    async def _pass(self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not _is_write(request):
            writer.write(await self._ask(request))
            return
        self.writes += 1
        instead = self.answers.pop(0) if self.answers else self.refuse(request)
        if instead is not None:
            writer.write(instead)
            return
        if self.fault == "no_answer":
            await reader.read()
        if self.fault in ("drop_request", "no_answer"):
            raise ConnectionAbortedError
        writer.write(self._spoil(await self._ask(request)))
        if self.fault != "none":
            raise ConnectionAbortedError

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        writer.write(request)
        answer = await _read_message(reader)
        writer.close()
        return answer

    def _spoil(self, answer: bytes) -> bytes:
        if self.fault == "none":
            return answer
        return b"" if self.fault == "drop_answer" else answer[: len(answer) - 5]


def _is_write(request: bytes) -> bool:
    return not request.startswith(b"GET ")


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head


@asynccontextmanager
async def open_faulty_proxy(target: int) -> AsyncIterator[FaultyProxy]:
    with open_listener() as listener:
        proxy = FaultyProxy(listener.getsockname()[1], target)
        async with await asyncio.start_server(proxy.serve, sock=listener):
            yield proxy
