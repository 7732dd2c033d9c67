"""`basewarden rest` as a process of its own, as an operator would start it."""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

from tests.fixtures.app import make_client
from tests.fixtures.ports import reserve_port
from tests.fixtures.waiting import wait_until

CHECKOUT = Path(__file__).parents[3]
START_SECONDS = 30
SECRET = "a secret of at least thirty-two bytes"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "basewarden", "rest", *arguments]


def environment(**given: str) -> dict[str, str]:
    """Ours without what configures another server, and these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PGRST_", "PG"))}
    return {**kept, "PYTHONPATH": str(CHECKOUT / "src"), **given}


def write_conf(path: Path, settings: Mapping[str, Any]) -> None:
    lines = [f"{name} = {_spell(value)}\n" for name, value in settings.items()]
    path.write_text("".join(lines))


def _spell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return str(value) if isinstance(value, int) else f'"{escaped}"'


@dataclass
class Rest:
    process: asyncio.subprocess.Process
    conf: Path
    settings: dict[str, Any]
    http: httpx.AsyncClient
    admin: httpx.AsyncClient
    out: IO[bytes]
    err: IO[bytes]
    _read: dict[str, int] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return int(self.settings["server-port"])

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        """All of standard error so far."""
        return Path(self.err.name).read_text()

    def access_log(self) -> str:
        return Path(self.out.name).read_text()

    async def until_said(self, text: str, *, times: int = 1) -> None:
        await wait_until(
            lambda: self.said().count(text),
            "these words in the log",
            matches=lambda found: found >= times,
            seconds=START_SECONDS,
        )

    async def until_ready(self, status: int = 200) -> None:
        await wait_until(
            self.ask_ready,
            "the status of /ready",
            matches=lambda found: found == status,
            seconds=START_SECONDS,
        )

    async def ask_ready(self) -> int:
        try:
            return (await self.admin.get("/ready")).status_code
        except httpx.TransportError:
            if self.process.returncode is not None:
                raise AssertionError(self.said()) from None
            return 0

    async def reconfigure(self, **changes: Any) -> None:
        """Underscores stand for dashes; the server is not signalled."""
        self.settings |= {name.replace("_", "-"): value for name, value in changes.items()}
        write_conf(self.conf, self.settings)

    async def send_raw(self, request: bytes) -> bytes:
        """Everything that comes back until the server closes, or for a second after the last."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            return await asyncio.wait_for(_read_answer(reader), START_SECONDS)
        finally:
            writer.close()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), START_SECONDS)


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    """One answer with a Content-Length."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else b"")


@asynccontextmanager
async def starting_rest(
    dsn: str, *arguments: str, variables: Mapping[str, str] | None = None, **settings: Any
) -> AsyncIterator[Rest]:
    """From the moment that the process exists, whether or not it comes up."""
    with tempfile.TemporaryDirectory() as folder:
        port, admin_port = reserve_port(), reserve_port()
        given = {
            "db-uri": dsn,
            "db-anon-role": "web_anon",
            "jwt-secret": SECRET,
            "server-host": "127.0.0.1",
            "server-port": port,
            "admin-server-port": admin_port,
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
        conf = Path(folder) / "rest.conf"
        write_conf(conf, given)
        with (Path(folder) / "out").open("wb") as out, (Path(folder) / "err").open("wb") as err:
            process = await asyncio.create_subprocess_exec(
                *command(str(conf), *arguments),
                env=environment(**(variables or {})),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            async with (
                make_client(f"http://127.0.0.1:{port}", timeout=START_SECONDS) as http,
                make_client(f"http://127.0.0.1:{admin_port}", timeout=5) as admin,
            ):
                rest = Rest(process, conf, given, http, admin, out, err)
                try:
                    yield rest
                finally:
                    await _end(rest)


@asynccontextmanager
async def running_rest(dsn: str, *arguments: str, **options: Any) -> AsyncIterator[Rest]:
    async with starting_rest(dsn, *arguments, **options) as rest:
        await rest.until_ready()
        yield rest


async def _end(rest: Rest) -> None:
    if rest.process.returncode is None:
        rest.process.terminate()
        try:
            await rest.ended()
        except TimeoutError:
            rest.process.kill()
            await rest.process.wait()
            raise


async def run_command(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of `basewarden rest` with these."""
    process = await asyncio.create_subprocess_exec(
        *command(*arguments),
        env=environment(**variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), START_SECONDS)
    return process.returncode or 0, out.decode(), err.decode()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def list_children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return sorted(map(int, text.split()))


def is_alive(pid: int) -> bool:
    """A zombie process, which no parent has waited for, is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
