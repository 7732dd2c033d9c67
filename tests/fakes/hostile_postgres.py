"""A "PostgreSQL" that means harm, in a process of its own so that it sends as fast as it can: see MODES in hostile_messages.

`python -m tests.fakes.hostile_postgres MODE [PORT]` says its port in one line; with a PORT, what is harmless goes to the
real server there, and harm begins with the first message after the line "turn" on standard input, or that names a mode
as `harm.MODE`: a value in a filter does, and so does the name of a database.
"""

import asyncio
import re
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fakes.hostile_messages import (
    AT_START,
    AUTH_OK,
    BEFORE_ROWS,
    IN_ANSWERS,
    READY,
    columns,
    message,
    setting,
)

INTERACTIVE = {
    "many_rounds": "a password that is to be hashed some million times",
    "strange_setting": "a setting that is no text, with each answer",
}
MODES = {**IN_ANSWERS, **AT_START}
_ROUNDS = 6_000_000  # some seconds; two thousand million are allowed
_SETTINGS = {
    "server_version": "15.4",
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "integer_datetimes": "on",
}
_STARTS = {80877102: "cancel", 80877103: "tls", 80877104: "gss"}
_VERSION_3 = 0x0003_0000
_NAMED = re.compile(rb"harm\.([a-z0-9_]+)")


class _Server:
    def __init__(self, mode: str, behind: int | None) -> None:
        self._mode = mode
        self._behind = behind
        self.turned = behind is None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await (self._serve_harm(reader, writer) if self._behind is None else self._pass_on(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _serve_harm(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (kind := _STARTS.get(await _read_start(reader))) in ("tls", "gss"):
            writer.write(b"N")
        if kind != "cancel":
            await self._converse(reader, writer, self._mode)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: str) -> None:
        if mode in AT_START:
            await _harm(writer, mode)
        if mode == "many_rounds":
            await _ask_for_many_rounds(reader, writer)
        settings = b"".join(setting(name, value) for name, value in _SETTINGS.items())
        writer.write(AUTH_OK + settings + message(b"K", struct.pack("!II", 1234, 5678)) + READY)
        while True:
            head = await reader.readexactly(5)
            await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            if head[:1] == b"X":
                return
            if head[:1] in b"QS":
                await _answer(writer, mode)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        real_reader, real_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        back = asyncio.create_task(_copy(real_reader, writer))
        try:
            while data := await reader.read(65536):
                named = _NAMED.search(data)
                if named or self.turned:
                    back.cancel()
                    await self._turn_on(reader, writer, data, named[1].decode() if named else self._mode)
                    return
                real_writer.write(data)
                await real_writer.drain()
        finally:
            back.cancel()
            real_writer.close()

    async def _turn_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes, mode: str
    ) -> None:
        """One that is named by a database does its harm in place of the real server from the start."""
        is_start = data[4:8] == struct.pack("!I", _VERSION_3)
        await (self._converse(reader, writer, mode) if is_start else _answer(writer, mode))


async def _ask_for_many_rounds(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0"))
    head = await reader.readexactly(5)
    first = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
    nonce = first[first.index(b"r=") :]
    writer.write(message(b"R", struct.pack("!I", 11) + nonce + b"x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=%d" % _ROUNDS))
    await reader.read(1000)


async def _answer(writer: asyncio.StreamWriter, mode: str) -> None:
    if mode == "strange_setting":
        row = message(b"D", struct.pack("!HI", 1, 4) + b"pid?") + message(b"C", b"SELECT 1\0")
        writer.write(BEFORE_ROWS + columns(1) + row + setting("TimeZone", "\xff") + READY)
        return
    if mode.endswith("_when_idle"):
        writer.write(BEFORE_ROWS + columns(1) + message(b"C", b"SELECT 0\0") + READY)
        await writer.drain()
        await asyncio.sleep(0.05)
    await _harm(writer, mode)


async def _harm(writer: asyncio.StreamWriter, mode: str) -> None:
    for piece in MODES[mode]():
        if isinstance(piece, float):
            await asyncio.sleep(piece)
        else:
            writer.write(piece)
            await writer.drain()
    await asyncio.sleep(60)


async def _read_start(reader: asyncio.StreamReader) -> int:
    length, code = struct.unpack("!II", await reader.readexactly(8))
    await reader.readexactly(length - 8)
    return int(code)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _main(mode: str, behind: int | None) -> None:
    hostile = _Server(mode, behind)
    server = await asyncio.start_server(hostile.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        while line := await asyncio.to_thread(sys.stdin.readline):
            hostile.turned = line.strip() == "turn"
            print("turned", flush=True)


class HostilePostgres:
    """From the outside."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.port = port

    async def turn(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"turn\n")
        await self._process.stdout.readline()


@asynccontextmanager
async def run_hostile_postgres(mode: str, behind: int | None = None) -> AsyncIterator[HostilePostgres]:
    pipe = asyncio.subprocess.PIPE
    arguments = [mode] if behind is None else [mode, str(behind)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.hostile_postgres", *arguments, stdin=pipe, stdout=pipe
    )
    assert process.stdout is not None
    try:
        yield HostilePostgres(process, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
