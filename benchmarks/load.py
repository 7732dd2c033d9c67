"""Load over HTTP on loopback: wrk where it is installed, else a small client of our own."""

import asyncio
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_COUNT = "COUNT"


@dataclass(frozen=True)
class LoadRequest:
    """`path` and `body` may hold `{n}`, a number from 1 to `highest`, drawn for each request."""

    method: str
    path: str
    headers: dict[str, str]
    body: str = ""
    highest: int = 1


@dataclass(frozen=True)
class Load:
    """`p50` and `p99` are milliseconds."""

    requests: int
    seconds: float
    errors: int
    p50: float
    p99: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def generator_name() -> str:
    return "wrk" if shutil.which("wrk") else "asyncio client"


def apply_load(origin: str, request: LoadRequest, *, connections: int, seconds: int) -> Load:
    if shutil.which("wrk"):
        return _run_wrk(origin, request, connections, seconds)
    return asyncio.run(_run_own(origin, request, connections, seconds))


def _run_wrk(origin: str, request: LoadRequest, connections: int, seconds: int) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "load.lua"
        file.write_text(_make_script(request))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30s", "-s", str(file), origin]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    line = next(line for line in output.splitlines() if line.startswith(_COUNT))
    count, microseconds, errors, p50, p99 = (int(number) for number in line.split()[1:])
    return Load(count, microseconds / 1e6, errors, p50 / 1000, p99 / 1000)


def _make_script(request: LoadRequest) -> str:
    headers = "\n".join(f'wrk.headers["{name}"] = [[{value}]]' for name, value in request.headers.items())
    return (
        f'wrk.method = "{request.method}"\n{headers}\n'
        f"request = function() local n = math.random(1, {request.highest})\n"
        f"  return wrk.format(nil, {_concatenate(request.path)}, nil, {_concatenate(request.body)}) end\n"
        "done = function(s, l, r)\n"
        f'  io.write(string.format("{_COUNT} %d %d %d %d %d\\n", s.requests, s.duration,\n'
        "    s.errors.status + s.errors.read + s.errors.timeout, l:percentile(50), l:percentile(99)))\nend\n"
    )


def _concatenate(text: str) -> str:
    """A Lua expression of the text with `n` in its places."""
    return " .. n .. ".join(f"[==[{part}]==]" for part in text.split("{n}"))


async def _run_own(origin: str, request: LoadRequest, connections: int, seconds: int) -> Load:
    started = time.perf_counter()
    deadline = started + seconds
    answered = await asyncio.gather(*(_work(origin, request, deadline) for _ in range(connections)))
    elapsed = time.perf_counter() - started
    times = [one for times, _ in answered for one in times]
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [0.0] * 99
    return Load(len(times), elapsed, sum(failed for _, failed in answered), cuts[49] * 1000, cuts[98] * 1000)


async def _work(origin: str, request: LoadRequest, deadline: float) -> tuple[list[float], int]:
    parts = urlsplit(origin)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    times: list[float] = []
    failed = 0
    while (started := time.perf_counter()) < deadline:
        number = str(random.randint(1, request.highest))  # noqa: S311 - load, not a secret
        path, body = request.path.replace("{n}", number), request.body.replace("{n}", number)
        head = f"{request.method} {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}{headers}\r\n{body}".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        await reader.readexactly(length)
        times.append(time.perf_counter() - started)
        failed += answer[9:10] != b"2"
    writer.close()
    return times, failed
