"""A server that does what no good one does: raw bytes on a socket, when and as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fixtures.ports import open_listener

DESCRIPTION = {
    "swagger": "2.0",
    "info": {"version": "14.5"},
    "paths": {"/": {}, "/notes": {"get": {}, "post": {}, "patch": {}, "delete": {}}},
    "definitions": {
        "notes": {
            "required": ["id"],
            "properties": {
                "id": {"type": "integer", "format": "int32", "description": "Note:\nThis is a Primary Key.<pk/>"},
                "body": {"type": "string", "format": "text"},
            },
        }
    },
}
_EXPOSED = {
    "code": "PGRST106",
    "details": None,
    "hint": "Only the following schemas are exposed: public",
    "message": "Invalid schema: basewarden-probe",
}


@dataclass(frozen=True)
class Heard:
    """One request's head, as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HostileExchange:
    """One request, and the way to answer it."""

    heard: Heard
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Returns when the other side has closed."""
        await self.reader.read()


Behave = Callable[[HostileExchange], Awaitable[None]]


@dataclass
class HostileServer:
    """Behaves as `behave` says; unless that is set, as a project with one table `notes`."""

    port: int
    behave: Behave
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    sent: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def make_answer(status: int, body: bytes | Any, kind: str = "application/json; charset=utf-8", **headers: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def always(data: bytes, *, closes: bool = False) -> Behave:
    async def answer(turn: HostileExchange) -> None:
        await turn.send(data)
        if closes:
            turn.writer.close()

    return answer


async def be_good(turn: HostileExchange) -> None:
    target = turn.heard.target
    if "basewarden" in turn.heard.headers.get("accept-profile", ""):
        await turn.send(make_answer(406, _EXPOSED))
    elif target in ("/rest/v1/", "/"):
        await turn.send(make_answer(200, DESCRIPTION, "application/openapi+json; charset=utf-8"))
    else:
        await turn.send(make_answer(200, b'[{"id":1}]', content_range="0-0/*"))


@asynccontextmanager
async def serve_hostile(behave: Behave = be_good, **options: Any) -> AsyncIterator[HostileServer]:
    listener = open_listener()
    hostile = HostileServer(listener.getsockname()[1], behave)
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        hostile.connections += 1
        hostile.open += 1
        hostile.most_open = max(hostile.most_open, hostile.open)
        try:
            while (heard := await _read_request(reader)) is not None:
                hostile.heard.append(heard)
                await hostile.behave(HostileExchange(heard, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the test is over, or the other side has gone
        finally:
            hostile.open -= 1
            writer.close()

    server = await asyncio.start_server(handle, sock=listener, **options)
    try:
        yield hostile
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> Heard | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(method, target, headers, body)
