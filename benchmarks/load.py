"""Load over HTTP on loopback: wrk where it is installed, else a small client of our own."""

import asyncio
import random
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_RATE = "Requests/sec:"


@dataclass(frozen=True)
class Request:
    """`path` may hold `{n}`, a number from 1 to `highest`, drawn for each request."""

    method: str
    path: str
    headers: dict[str, str]
    body: str = ""
    highest: int = 1


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    errors: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def generator_name() -> str:
    return "wrk" if shutil.which("wrk") else "asyncio client"


def apply_load(origin: str, request: Request, *, connections: int, seconds: int) -> Load:
    if shutil.which("wrk"):
        return _run_wrk(origin, request, connections, seconds)
    return asyncio.run(_run_own(origin, request, connections, seconds))


def _run_wrk(origin: str, request: Request, connections: int, seconds: int) -> Load:
    headers = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in request.headers.items())
    path = request.path.replace("{n}", '" .. math.random(1, ' + str(request.highest) + ') .. "')
    script = (
        f'wrk.method = "{request.method}"\nwrk.body = [[{request.body}]]\n{headers}\n'
        f'request = function() return wrk.format(nil, "{path}") end\n'
        "done = function(s, l, r)\n"
        '  io.write(string.format("COUNT %d %d %d\\n", s.requests, s.duration, s.errors.status + s.errors.read))\nend\n'
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.lua"
        file.write_text(script)
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "-s", str(file), origin]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    count, microseconds, errors = next(line for line in output.splitlines() if line.startswith("COUNT")).split()[1:]
    return Load(int(count), int(microseconds) / 1e6, int(errors))


async def _run_own(origin: str, request: Request, connections: int, seconds: int) -> Load:
    started = time.perf_counter()
    deadline = started + seconds
    counts = await asyncio.gather(*(_work(origin, request, deadline) for _ in range(connections)))
    elapsed = time.perf_counter() - started
    return Load(sum(done for done, _ in counts), elapsed, sum(failed for _, failed in counts))


async def _work(origin: str, request: Request, deadline: float) -> tuple[int, int]:
    parts = urlsplit(origin)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    done = failed = 0
    while time.perf_counter() < deadline:
        path = request.path.replace("{n}", str(random.randint(1, request.highest)))  # noqa: S311 - load, not a secret
        head = f"{request.method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(request.body)}\r\n"
        writer.write(f"{head}{headers}\r\n{request.body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        await reader.readexactly(length)
        done += 1
        failed += answer[9:10] != b"2"
    writer.close()
    return done, failed
