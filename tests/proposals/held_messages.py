"""A way to a PostgreSQL on which what a client sends after its write can be held."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_BYTES = 1 << 20


class HeldMessages:
    """Once `mark` has been sent on a connection, what follows on it waits until it is sent on or dropped."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._mark: bytes | None = None
        self._may_pass = asyncio.get_running_loop().create_future()
        self._answered = asyncio.Event()
        self.port = 0

    @property
    def dsn(self) -> str:
        return self._dsn.replace(f":{urlsplit(self._dsn).port}/", f":{self.port}/")

    def hold_after(self, mark: bytes) -> None:
        self._mark = mark

    async def send_on(self) -> None:
        """Returns when the server has answered; the client does not see the answer."""
        self._may_pass.set_result(True)
        await self._answered.wait()

    def drop(self) -> None:
        """Ends the connection to the server."""
        self._may_pass.set_result(False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = urlsplit(self._dsn)
        server_reader, server_writer = await asyncio.open_connection(place.hostname, place.port)
        is_held = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                answers = tasks.create_task(self._pass_answers(server_reader, writer, is_held))
                await self._pass_requests(reader, server_writer, is_held)
                answers.cancel()
        except* ConnectionError:
            pass
        finally:
            server_writer.close()
            writer.close()

    async def _pass_requests(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, is_held: asyncio.Event
    ) -> None:
        is_marked = False
        while data := await reader.read(_BYTES):
            if is_marked:
                is_held.set()
                if not await self._may_pass:
                    return
            server.write(data)
            await server.drain()
            is_marked = is_marked or (self._mark is not None and self._mark in data)

    async def _pass_answers(
        self, server: asyncio.StreamReader, writer: asyncio.StreamWriter, is_held: asyncio.Event
    ) -> None:
        while data := await server.read(_BYTES):
            if is_held.is_set():
                self._answered.set()
            else:
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def hold_messages(dsn: str) -> AsyncIterator[HeldMessages]:
    held = HeldMessages(dsn)
    server = await asyncio.start_server(held.serve, "127.0.0.1", 0)
    held.port = server.sockets[0].getsockname()[1]
    try:
        yield held
    finally:
        server.close()
