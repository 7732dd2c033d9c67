"""Clients for the forward hop: each in the same small ASGI proxy, before nginx with a static file, interleaved.

    .venv/bin/python -m benchmarks.clients [--seconds 3] [--rounds 3]

Prints requests a second and the proxy's own CPU for each request, beside nginx itself as the hop; and the proxy's
memory while a client that reads slowly is sent 200 MB. aiohttp and pyreqwest take part where they are installed.
"""

import argparse
import asyncio
import importlib.util
import os
import resource
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.load import LoadRequest, apply_load, generator_name

CONNECTIONS = 32
SMALL, LARGE = 2_000, 200_000_000
TICK = os.sysconf("SC_CLK_TCK")
_NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 100000000; sendfile on;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  upstream files {{ server 127.0.0.1:{port}; keepalive 64; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    {place}
  }}
}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", nargs=3, metavar=("CLIENT", "PORT", "UPSTREAM"))
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], int(options.serve[1]), int(options.serve[2]))
        return
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        files = stack.enter_context(run_nginx(Path(folder) / "files", None))
        hops = {"nginx": stack.enter_context(run_nginx(Path(folder) / "hop", files))}
        for name in ("own", "aiohttp", "pyreqwest"):
            if name == "own" or importlib.util.find_spec(name):
                hops[name] = stack.enter_context(run_proxy(name, files))
        measure(hops, options.rounds, options.seconds)
        for name, (port, pid) in hops.items():
            if name != "nginx":
                grown, aborted = asyncio.run(stream_slowly(port, pid))
                print(f"{name:<12}200 MB to a slow client: {grown:,.0f} MB more memory; client gone: {aborted}")


def measure(hops: dict[str, tuple[int, int]], rounds: int, seconds: int) -> None:
    rates: dict[str, list[float]] = {name: [] for name in hops}
    cpu: dict[str, list[float]] = {name: [] for name in hops}
    for number in range(rounds + 1):
        for name, (port, pid) in hops.items():
            before = read_cpu(pid)
            load = apply_load(
                f"http://127.0.0.1:{port}", LoadRequest("GET", "/small", {}), connections=CONNECTIONS, seconds=seconds
            )
            if load.errors:
                raise SystemExit(f"{name} answered with errors")
            if number:
                rates[name].append(load.per_second)
                cpu[name].append((read_cpu(pid) - before) / load.requests * 1e6)
    print(f"{CONNECTIONS} connections, load by {generator_name()}, {rounds} rounds of {seconds} s")
    for name in hops:
        rate, used = statistics.median(rates[name]), statistics.median(cpu[name])
        print(f"{name:<12}{rate:>10,.0f}/s {used:>8,.0f} µs of CPU a request")


async def stream_slowly(port: int, pid: int) -> tuple[float, str]:
    """Reads a little, waits, and looks at the proxy's memory; then goes, and looks whether the transfer ends."""
    before = read_memory(pid)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    highest = 0.0
    for _ in range(40):
        await reader.readexactly(250_000)
        await asyncio.sleep(0.02)
        highest = max(highest, read_memory(pid))
    writer.transport.abort()
    await asyncio.sleep(0.5)
    used = read_cpu(pid)
    await asyncio.sleep(0.5)
    return (highest - before) / 1e6, "idle" if read_cpu(pid) - used < 0.02 else "still at work"


def read_cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def read_memory(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * float(resource.getpagesize())


def pick_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", secrets.choice(range(20_000, 32_000))))
        return int(listener.getsockname()[1])


@contextmanager
def run_nginx(folder: Path, upstream: tuple[int, int] | None, places: str | None = None) -> Iterator[tuple[int, int]]:
    """(port, pid of the worker): with files or `places` of its own, or as a hop to the other one."""
    folder.mkdir(mode=0o755)
    port = pick_port()
    place = places or f"location / {{ root {folder}; }}"
    if upstream is None:
        (folder / "small").write_bytes(b"x" * SMALL)
        (folder / "large").write_bytes(b"x" * LARGE)
    else:
        place = 'location / { proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection ""; }'
    text = _NGINX.format(folder=folder, port=port, place=place)
    if upstream is not None:
        text = text.replace(f"server 127.0.0.1:{port};", f"server 127.0.0.1:{upstream[0]};")
    (folder / "nginx.conf").write_text(text)
    nginx = shutil.which("nginx")
    if nginx is None:
        raise SystemExit("nginx is not installed")
    process = subprocess.Popen([nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    try:
        wait_for(port)
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        yield port, int(workers[0])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def run_proxy(name: str, upstream: tuple[int, int]) -> Iterator[tuple[int, int]]:
    port = pick_port()
    command = [sys.executable, "-m", "benchmarks.clients", "--serve", name, str(port), str(upstream[0])]
    process = subprocess.Popen(command)
    try:
        wait_for(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("a server did not start")


# The proxies --------------------------------------------------------------------------------------------


def serve(name: str, port: int, upstream: int) -> None:
    import uvicorn  # noqa: PLC0415 - only this process needs it

    app = {"own": make_own, "aiohttp": make_aiohttp, "pyreqwest": make_pyreqwest}[name](upstream)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="error",
        lifespan="off",
    )


async def answer(send: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


def make_own(upstream: int) -> Any:
    from basewarden.connections.rest.client import RestClient  # noqa: PLC0415 - only this process needs it
    from basewarden.connections.rest.keys import KeyKind, ProjectKey  # noqa: PLC0415 - only this process needs it
    from basewarden.connections.rest.urls import RestAddress  # noqa: PLC0415 - only this process needs it
    from basewarden.core.secret import Secret  # noqa: PLC0415 - only this process needs it

    key = ProjectKey(Secret("x"), KeyKind.SECRET, "anon")
    clients: list[RestClient] = []

    async def proxy(scope: Any, _receive: Any, send: Any) -> None:
        if not clients:
            clients.append(RestClient(RestAddress("http", "127.0.0.1", upstream), key, allow_private=True))
        client = clients[0]
        connection = await client.send(client.make_head("GET", scope["path"], (), None), is_repeatable=True)
        try:
            kept = [pair for pair in connection.headers if pair[0] in (b"content-type", b"content-length")]
            await answer(send, connection.status, kept)
            while chunk := await connection.read():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            client.release(connection)

    return proxy


def make_aiohttp(upstream: int) -> Any:
    import aiohttp  # type: ignore[import-not-found]  # noqa: PLC0415 - taken part only where it is installed

    sessions: list[Any] = []

    async def proxy(scope: Any, _receive: Any, send: Any) -> None:
        if not sessions:
            connector = aiohttp.TCPConnector(limit=32)
            sessions.append(
                aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
            )
        async with sessions[0].get(f"http://127.0.0.1:{upstream}{scope['path']}") as found:
            kept = [
                (name.lower(), value)
                for name, value in found.raw_headers
                if name.lower() in (b"content-type", b"content-length")
            ]
            await answer(send, found.status, kept)
            async for chunk in found.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    return proxy


def make_pyreqwest(upstream: int) -> Any:
    from pyreqwest.client import ClientBuilder  # type: ignore[import-not-found]  # noqa: PLC0415 - taken part only where it is installed

    clients: list[Any] = []

    async def proxy(scope: Any, _receive: Any, send: Any) -> None:
        if not clients:
            clients.append(ClientBuilder().pool_max_idle_per_host(32).build())
        async with clients[0].get(f"http://127.0.0.1:{upstream}{scope['path']}").build_streamed() as found:
            kept = [
                (name.lower().encode(), value.encode())
                for name, value in found.headers.items()
                if name.lower() in ("content-type", "content-length")
            ]
            await answer(send, found.status, kept)
            while (chunk := await found.body_reader.read_chunk()) is not None:
                await send({"type": "http.response.body", "body": bytes(chunk), "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    return proxy


if __name__ == "__main__":
    main()
