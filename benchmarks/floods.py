"""Floods by strangers, then by an agent that may only read: what an honest caller of another project notices of them.

    .venv/bin/python -m benchmarks.floods [--seconds 20] [--rounds 4] [--only strangers]

Strangers: sign-in attempts, large heads and bodies, half-open requests, up to 1,500 connections, unknown paths, bad
HTTP, requests sent ahead. The agent: large answers read slowly, functions that sleep, huge lists and trees of
conditions, bodies that it may not send, the description of the schema, embeds. Limits as in `watching.py`; ends with 1
where one does not hold. The idle product and the flood alternate, because the idle product's p95 alone may be twice as
high a minute later. The flood, and the flooded database, take the processors that are left (SCHED_IDLE: a process
of a low priority alone is not interrupted for milliseconds): elsewhere they would have their own.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from basewarden.core.secret import Secret
from basewarden.db.embedded import start_embedded
from basewarden.demo.shop.load import create_shop
from benchmarks.cases import ROLE
from benchmarks.hostile import HONEST
from benchmarks.servers import Shop, list_family, print_line, serve_shop
from benchmarks.watching import find_problems, observing

IDLE_SECONDS = 20
BACK_SECONDS = 8
_NICER = 19
_STRANGERS = tuple(f"127.0.0.{number}" for number in (11, 12, 13))
_AGENT_ADDRESS = "127.0.0.21"
_OPEN_FOR_EACH = 500
_GAP = 0.02
_TREE = "and(" * 60 + "id.gt.0,id.gt.1" + ")" * 60


async def main() -> int:
    options = _parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with serve_shop(Path(folder) / "data") as shop:
            async with _serving_other(shop, Path(folder) / "other") as connection_id:
                reader = await _make_reader(shop, connection_id)
                known = {"reader": reader, "path": f"/api/v/{connection_id}/rest/v1"}
                wrong = await _measure(shop, options, known)
            if options.log:
                shutil.copy(shop.data_dir / "serve.log", options.log)
    for text in wrong:
        print(f"FAILED: {text}")
    return 1 if wrong else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20, help="length of each flood")
    parser.add_argument("--rounds", type=int, default=4, help="of the idle product, then each flood")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="strangers or agent")
    parser.add_argument("--log", default="", help="where to keep the product's log")
    return parser.parse_args()


@contextlib.asynccontextmanager
async def _serving_other(shop: Shop, folder: Path) -> AsyncIterator[str]:
    """The connection of another shop on a PostgreSQL of its own, with a function that sleeps."""
    server = await start_embedded(folder, progress=print_line)
    try:
        other = await create_shop(server.dsn("postgres"), password=Secret("flooded"), progress=print_line)
        dsn = other.dsn.reveal()
        async with await psycopg.AsyncConnection.connect(server.dsn(urlsplit(dsn).path[1:]), autocommit=True) as conn:
            await conn.execute(
                "CREATE FUNCTION sleep_long(s float) RETURNS int LANGUAGE plpgsql STABLE AS "
                "'BEGIN PERFORM pg_sleep(s); RETURN 1; END'"
            )
        keeping = asyncio.create_task(_keep_back(folder))
        made = await shop.person.post("/api/connections", json={"name": "flooded", "postgresUrl": dsn})
        yield str(made.raise_for_status().json()["id"])
        keeping.cancel()
    finally:
        await server.stop()


async def _keep_back(folder: Path) -> None:
    """Linux gives turns at the processors to sessions, and each process of a PostgreSQL is a session of its own."""
    postmaster = int((folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
    known: set[int] = set()
    while True:
        for pid in set(list_family([postmaster])) - known:
            known.add(pid)
            with contextlib.suppress(OSError):  # it has ended, or this kernel gives turns to processes
                _take_what_is_left(pid)
                Path(f"/proc/{pid}/autogroup").write_text(str(_NICER))
        await asyncio.sleep(0.05)


def _take_what_is_left(pid: int) -> None:
    os.setpriority(os.PRIO_PROCESS, pid, _NICER)
    os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


async def _make_reader(shop: Shop, connection_id: str) -> str:
    wanted = {"name": "flood", "access": "read", "dbRole": ROLE}
    made = await shop.person.post(f"/api/connections/{connection_id}/agents", json=wanted)
    return str(made.raise_for_status().json()["token"])


async def _measure(shop: Shop, options: argparse.Namespace, known: dict[str, str]) -> list[str]:
    floods = [name for name in ("strangers", "agent") if not options.only or name in options.only]
    honest = [f"{shop.path}{path}" for path in HONEST]
    with observing(shop.origin, shop.pid, honest, await shop.make_agent()) as observer:
        await asyncio.sleep(3)
        for name in floods:
            for number in range(options.rounds):
                observer.enter(f"before {name}")
                await asyncio.sleep(IDLE_SECONDS)
                observer.enter(name)
                print_line(f"The flood: {name}, {number + 1} of {options.rounds}")
                print_line(await asyncio.to_thread(_run_flood, shop.origin, name, options.seconds, known))
                observer.enter("calming down")
                await asyncio.sleep(BACK_SECONDS)
            observer.enter(f"after {name}")
            await asyncio.sleep(2)
        seen = observer.finish()
    wrong = []
    for name in floods:
        print(f"\n{name}")
        found = find_problems(seen, before=f"before {name}", during=name, after=f"after {name}")
        wrong += [f"{name}: {text}" for text in found]
    return wrong


def _run_flood(origin: str, name: str, seconds: int, known: dict[str, str]) -> str:
    """What was answered, as the process says."""
    wanted = json.dumps({"origin": origin, "flood": name, "seconds": seconds, **known})
    command = [sys.executable, "-m", "benchmarks.floods", "--flood", wanted]
    finished = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60)
    return finished.stdout.strip()


# The flood --------------------------------------------------------------------------------------------------


class Flood:
    """Connections of raw bytes; `counts` holds what came back."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        parts = urlsplit(wanted["origin"])
        self._host, self._port = str(parts.hostname), parts.port
        self.path, self.reader = wanted["path"], wanted["reader"]
        self.counts: Counter[str] = Counter()
        self.most_open = self.open = 0
        self.is_over = False

    @contextlib.asynccontextmanager
    async def connect(self, address: str) -> Any:
        reader, writer = await asyncio.open_connection(self._host, self._port, local_addr=(address, 0), limit=2**16)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            yield reader, writer
        finally:
            self.open -= 1
            writer.transport.abort()

    async def send(self, name: str, address: str, data: bytes) -> None:
        """One request of a connection of its own; only the start of the answer is read."""
        async with self.connect(address) as (reader, writer):
            writer.write(data)
            async with asyncio.timeout(10):
                status = (await reader.read(64))[9:12].decode("latin-1") or "closed"
            self.counts[f"{name} {status}"] += 1

    async def hold(self, name: str, address: str, start: bytes, drip: bytes) -> None:
        async with self.connect(address) as (reader, writer):
            writer.write(start)
            while not self.is_over and not reader.at_eof():
                writer.write(drip)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        if not await reader.read(64):
                            break
            self.counts[f"{name} ended"] += 1

    async def read_slowly(self, name: str, data: bytes) -> None:
        async with self.connect(_AGENT_ADDRESS) as (reader, writer):
            writer.write(data)
            async with asyncio.timeout(60):
                first = await reader.read(4096)
            self.counts[f"{name} {first[9:12].decode('latin-1') or 'closed'}"] += 1
            while await reader.read(4096):
                await asyncio.sleep(0.05)


Work = Callable[[], Awaitable[None]]


def _head(method: str, path: str, *lines: str, length: int = 0) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *lines, "", ""]).encode()


def _post(path: str, body: bytes, *lines: str, kind: str = "application/json") -> bytes:
    return _head("POST", path, f"Content-Type: {kind}", *lines, length=len(body)) + body


_CREDENTIALS = json.dumps({"email": "demo@basewarden.example", "password": "not this one at all"}).encode()
_ANONYMOUS: dict[str, bytes] = {
    "sign-in": _post("/api/auth/signin", _CREDENTIALS),
    "sign-up": _post("/api/auth/signup", b'{"email":"x","password":"y"}'),
    "reset": _post("/api/auth/reset", b'{"email":"nobody@basewarden.example"}'),
    "large head": _head("GET", "/signin", f"Cookie: {'a=b;' * 100_000}"),
    "many headers": _head("GET", "/signin", *[f"X-{number}: 1" for number in range(5000)]),
    "large JSON": _post("/api/auth/signin", b'{"a":[' + b"{}," * 20_000 + b"{}]}"),
    "too large JSON": _post("/api/auth/signin", b"[" * 1_000_000),
    "deep JSON": _post("/api/auth/signin", b"[" * 60_000),
    "large body without a token": _post("/api/v/0/rest/v1/notes", b"[" * 4_000_000),
    "unknown path": _head("GET", "/no/such/page"),
    "unknown connection": _head("GET", "/api/v/018f0000-0000-7000-8000-000000000000/rest/v1/x", "apikey: bw_no"),
    "page": _head("GET", "/signin"),
    "bad HTTP": b"\x16\x03\x01\x02\x00 what is this\r\n\r\n",
    "bad length": b"POST /api/auth/signin HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two framings": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "sent ahead": _head("GET", "/api/health/live") * 400,
}


def _list_strangers(flood: Flood) -> Iterator[tuple[int, Work]]:
    """How many do it at once, and what."""
    for number, (name, data) in enumerate(_ANONYMOUS.items()):
        address = _STRANGERS[number % len(_STRANGERS)]
        yield 2, partial(flood.send, name, address, data)
    half_head, half_body = b"GET / HTTP/1.1\r\nHost: x\r\n", _head("POST", "/api/auth/signin", length=60_000)
    for address in _STRANGERS:
        yield (
            _OPEN_FOR_EACH // 2,
            partial(flood.hold, "slow head", address, half_head, b"x-a: 1\r\n"),
        )
        yield (
            _OPEN_FOR_EACH // 2,
            partial(flood.hold, "slow body", address, half_body, b" "),
        )


def _list_agent(flood: Flood) -> Iterator[tuple[int, Work]]:
    root, key = flood.path, f"apikey: {flood.reader}"
    numbers = ",".join(str(number) for number in range(4500))
    columns = ",".join(f"c{number}:order_id" for number in range(400))
    csv = b"order_id,line_no\r\n" + b"1,1\r\n" * 800_000
    requests = {
        "sleep": _head("GET", f"{root}/rpc/sleep_long?s=20", key),
        "list": _head("GET", f"{root}/order_items?order_id=in.({numbers})&select=order_id", key),
        "tree": _head("GET", f"{root}/orders?or=({_TREE})&select=id&limit=1", key),
        "CSV": _post(f"{root}/order_items", csv, key, kind="text/csv"),
        "JSON": _post(f"{root}/order_items", b"[" + b'{"order_id":1},' * 250_000 + b"{}]", key),
        "description": _head("GET", f"{root}/", key),
        "embeds": _head("GET", f"{root}/customers?select=*,orders(*,order_items(*,products(*)))&limit=2000", key),
        "count": _head("GET", f"{root}/order_items?select=order_id&limit=1", key, "Prefer: count=exact"),
        "arguments": _head("GET", f"{root}/rpc/nope?" + "&".join(f"a{n}=1" for n in range(900)), key),
    }
    for name, data in requests.items():
        yield 3 if name == "sleep" else 2, partial(flood.send, name, _AGENT_ADDRESS, data)
    large = _head("GET", f"{root}/order_items?select={columns}&limit=8000", key)
    yield 3, lambda: flood.read_slowly("large answer", large)


async def _flood(wanted: dict[str, Any]) -> None:
    _take_what_is_left(0)
    flood = Flood(wanted)
    works = list((_list_strangers if wanted["flood"] == "strangers" else _list_agent)(flood))
    tasks = [asyncio.create_task(_repeat(flood, work)) for count, work in works for _ in range(count)]
    await asyncio.sleep(wanted["seconds"])
    flood.is_over = True
    del tasks
    shown = ", ".join(f"{name}: {count}" for name, count in sorted(flood.counts.items()))
    print(f"{flood.most_open} connections at most; {shown}", flush=True)
    os._exit(0)  # thousands of connections need no goodbye


async def _repeat(flood: Flood, work: Work) -> None:
    while not flood.is_over:
        try:
            await work()
        except (OSError, TimeoutError) as error:
            flood.counts[type(error).__name__] += 1
        await asyncio.sleep(_GAP)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--flood"]:
        asyncio.run(_flood(json.loads(sys.argv[2])))
    else:
        sys.exit(asyncio.run(main()))
