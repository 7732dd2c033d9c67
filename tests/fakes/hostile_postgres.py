"""A "PostgreSQL" that means harm, in a process of its own so that it sends as fast as it can: see MODES.

`python -m tests.fakes.hostile_postgres MODE [PORT]` says its port in one line; with a PORT, what is harmless goes to the
real server there, and harm begins with the first message after the line "turn" on standard input.
"""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

MODES = {
    "endless_rows": "a result without an end",
    "endless_nulls": "the same, of values that take no room on the wire",
    "many_rows": "hundreds of thousands of rows in a few megabytes",
    "huge_row": "one row that is said to have a gigabyte, and has",
    "endless_notices": "notices instead of a result",
    "endless_settings": "settings instead of a result",
    "settings_at_start": "settings without an end before it is ready",
    "notices_at_start": "notices without an end instead of asking for a password",
    "huge_notice_at_start": "one notice of a gigabyte before it is ready",
    "notifies_when_idle": "notifications that nobody asked for, after the first answer",
    "settings_when_idle": "settings, after the first answer",
    "negative_length": "a message that is shorter than nothing",
    "strange_setting": "a setting that is no text, with each answer",
    "silent": "no answer at all",
    "many_rounds": "a password that is to be hashed some million times",
}
_SETTINGS = {
    "server_version": "15.4",
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "integer_datetimes": "on",
}
_GIGABYTE = 0x3FFFFFF0
_ROUNDS = 6_000_000  # some seconds; two thousand million are allowed
_STARTS = {80877102: "cancel", 80877103: "tls", 80877104: "gss"}


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _setting(name: str, value: str) -> bytes:
    return _message(b"S", name.encode() + b"\0" + value.encode("latin-1") + b"\0")


def _columns(count: int) -> bytes:
    return _message(b"T", struct.pack("!H", count) + (b"c\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)) * count)


_READY = _message(b"Z", b"I")
_BEFORE_ROWS = _message(b"1", b"") + _message(b"2", b"")
_NOTICE = b"SNOTICE\0C00000\0M" + b"y" * 60_000 + b"\0\0"


def _repeat(data: bytes) -> Iterator[bytes]:
    while True:
        yield data


def _flood_settings() -> Iterator[bytes]:
    number = 0
    while True:
        yield b"".join(_setting(f"k{number + one}", "") for one in range(1000))
        number += 1000


def _send_huge(kind: bytes) -> Iterator[bytes]:
    yield kind + struct.pack("!I", _GIGABYTE) + struct.pack("!H", 1)
    yield from _repeat(b"x" * 65536)


def _make_harm(mode: str) -> Iterator[bytes]:
    match mode:
        case "endless_rows":
            yield _BEFORE_ROWS + _columns(1)
            yield from _repeat(_message(b"D", struct.pack("!HI", 1, 100_000) + b"x" * 100_000) * 10)
        case "endless_nulls":
            yield _BEFORE_ROWS + _columns(1000)
            yield from _repeat(_message(b"D", struct.pack("!H", 1000) + b"\xff" * 4000) * 20)
        case "many_rows":
            rows = _message(b"D", struct.pack("!Hi", 1, -1)) * 360_000
            yield _BEFORE_ROWS + _columns(1) + rows + _message(b"C", b"SELECT 360000\0") + _READY
        case "huge_row":
            yield _BEFORE_ROWS + _columns(1)
            yield from _send_huge(b"D")
        case "endless_notices" | "notices_at_start":
            yield from _repeat(_message(b"N", _NOTICE) * 3)
        case "huge_notice_at_start":
            yield from _send_huge(b"N")
        case "endless_settings" | "settings_at_start" | "settings_when_idle":
            yield from _flood_settings()
        case "notifies_when_idle":
            yield from _repeat(_message(b"A", struct.pack("!I", 1) + b"channel\0" + b"p" * 7000 + b"\0") * 50)
        case "negative_length":
            yield b"T" + struct.pack("!i", -5) + b"abc"


class _Server:
    def __init__(self, mode: str, behind: int | None) -> None:
        self._mode = mode
        self._behind = behind
        self.turned = behind is None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await (self._greet(reader, writer) if self._behind is None else self._pass_on(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (kind := _STARTS.get(await _read_start(reader))) in ("tls", "gss"):
            writer.write(b"N")
        if kind == "cancel":
            return
        if self._mode == "notices_at_start":
            await self._harm(writer)
        if self._mode == "many_rounds":
            await self._ask_for_many_rounds(reader, writer)
        writer.write(_message(b"R", struct.pack("!I", 0)))
        if self._mode.endswith("_at_start"):
            await self._harm(writer)
        settings = b"".join(_setting(name, value) for name, value in _SETTINGS.items())
        writer.write(settings + _message(b"K", struct.pack("!II", 1234, 5678)) + _READY)
        while True:
            head = await reader.readexactly(5)
            await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            if head[:1] == b"X":
                return
            if head[:1] in b"QS":
                await self._answer(writer)

    async def _ask_for_many_rounds(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0"))
        head = await reader.readexactly(5)
        first = await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
        nonce = first[first.index(b"r=") :]
        writer.write(_message(b"R", struct.pack("!I", 11) + nonce + b"x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=%d" % _ROUNDS))
        await reader.read(1000)

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        if self._mode == "strange_setting":
            row = _message(b"D", struct.pack("!HI", 1, 4) + b"pid?") + _message(b"C", b"SELECT 1\0")
            writer.write(_BEFORE_ROWS + _columns(1) + row + _setting("TimeZone", "\xff") + _READY)
            return
        if self._mode.endswith("_when_idle"):
            writer.write(_BEFORE_ROWS + _columns(1) + _message(b"C", b"SELECT 0\0") + _READY)
            await writer.drain()
            await asyncio.sleep(0.05)
        await self._harm(writer)

    async def _harm(self, writer: asyncio.StreamWriter) -> None:
        for data in _make_harm(self._mode):
            writer.write(data)
            await writer.drain()
        await asyncio.sleep(60)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        real_reader, real_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        back = asyncio.create_task(_copy(real_reader, writer))
        try:
            while data := await reader.read(65536):
                if self.turned:
                    back.cancel()
                    await self._harm(writer)
                real_writer.write(data)
                await real_writer.drain()
        finally:
            back.cancel()
            real_writer.close()


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


class Hostile:
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
async def run_hostile_postgres(mode: str, behind: int | None = None) -> AsyncIterator[Hostile]:
    pipe = asyncio.subprocess.PIPE
    arguments = [mode] if behind is None else [mode, str(behind)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.hostile_postgres", *arguments, stdin=pipe, stdout=pipe
    )
    assert process.stdout is not None
    try:
        yield Hostile(process, int(await process.stdout.readline()))
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
