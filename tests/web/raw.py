"""HTTP as a client writes it that no library would: bytes on a socket, and whatever comes back."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 30
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Streams]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> RawAnswer:
    """One answer of a kept connection, by its length."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.rstrip("\r\n").split("\r\n")
        pairs = (line.partition(": ") for line in lines[1:])
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RawAnswer(int(lines[0].split()[1]), headers, body)


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """All until the server closes; a reset is an end, too."""
    parts = []
    async with asyncio.timeout(TIMEOUT_SECONDS):
        try:
            while part := await reader.read(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


async def ask(port: int, request: bytes) -> RawAnswer:
    async with connected(port) as (reader, writer):
        writer.write(request)
        return await read_answer(reader)
