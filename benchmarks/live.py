"""Live events: how soon a write is seen, what idle streams cost, and what they and NOTIFY cost the writes.

    .venv/bin/python -m benchmarks.live [--only latency,idle,rate,notify,against] [--against CHECKOUT]

`latency`: an agent writes through one process; a page of sessions in a real Chromium is connected to another. Time from
the request to the row in the page. `idle`: CPU and memory of a process with streams on which nothing happens. `rate`:
writes a second of a process with and without streams on it, interleaved. `notify`: ways to announce writes, on a table
alone. `against`: writes a second beside another checkout with the same migrations, on the same database, interleaved.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import psycopg
from playwright.async_api import Page, async_playwright

from benchmarks.cases import CASES, make_tables
from benchmarks.load import LoadRequest, apply_load
from benchmarks.servers import PAGE, Shop, list_family, print_line, read_cpu, serve_beside, serve_shop

LATENCY_LIMIT_MS = 300
IDLE_LIMIT = 0.01
RATE_LIMIT = 0.98
_ALL = ("latency", "idle", "rate", "notify", "against")
_WRITERS = 8
_WRITE_SECONDS = 3.0
_SEEN = """
    window.seen = {};
    new MutationObserver(() => {
      for (const link of document.querySelectorAll('a[href*="/sessions/"]')) {
        const id = link.getAttribute('href').split('/sessions/')[1].slice(0, 36);
        window.seen[id] ??= performance.timeOrigin + performance.now();
      }
    }).observe(document.body, {childList: true, subtree: true});
"""


async def main() -> None:
    options = _parse_arguments()
    failed: list[str] = []
    more = {"BASEWARDEN_MAX_STREAMS_PER_PERSON": "2000"}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        async with serve_shop(folder / "data", more=more) as shop:
            await make_tables(shop.dsn, ())
            other, pid = stack.enter_context(serve_beside(shop, folder))
            print(f"{os.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}")
            if "latency" in options.only:
                failed += await measure_latency(shop, other, options.writes)
            if "idle" in options.only:
                failed += await measure_idle(shop, other, pid, options.streams, options.seconds)
            if "rate" in options.only:
                failed += await measure_rate(shop, options)
            if "against" in options.only and options.against:
                failed += await measure_against(shop, folder, other, pid, options)
            if "notify" in options.only:
                await compare_notifications(shop, options.rounds)
    for text in failed:
        print(f"FAILED: {text}")
    raise SystemExit(bool(failed))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=_ALL, help="with commas")
    parser.add_argument("--writes", type=int, default=50, help="writes whose latency is measured")
    parser.add_argument("--streams", type=int, default=200, help="idle streams")
    parser.add_argument("--seconds", type=int, default=30, help="how long idle streams are watched")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count, after one that does not")
    parser.add_argument("--against", type=Path, help="another checkout")
    return parser.parse_args()


# Latency --------------------------------------------------------------------------------------------------


async def measure_latency(shop: Shop, other: str, writes: int) -> list[str]:
    token = await shop.make_agent()
    arrived: dict[str, float] = {}
    sent: dict[str, float] = {}
    async with _open_page(shop, other) as page, httpx.AsyncClient(base_url=shop.origin, trust_env=False) as agent:
        reader, writer = await _open_stream(other, _make_head(shop, other))
        task = asyncio.create_task(_note_events(reader, arrived))
        times = [await _see_write(shop, agent, page, token, number, sent) for number in range(writes)]
        task.cancel()
        writer.close()
    events = [arrived[session] - began for session, began in sent.items() if session in arrived]
    cuts = statistics.quantiles(times, n=20)
    print(f"\nlatency of {writes} writes, from the request to one process to the row in a page of another:")
    print(f"median {statistics.median(times):.0f} ms, p95 {cuts[18]:.0f} ms, slowest {max(times):.0f} ms")
    print(f"of it until the event arrives: median {statistics.median(events) * 1000:.0f} ms")
    return [] if statistics.median(times) < LATENCY_LIMIT_MS else [f"the median latency is over {LATENCY_LIMIT_MS} ms"]


@asynccontextmanager
async def _open_page(shop: Shop, origin: str) -> AsyncIterator[Page]:
    """The connection's sessions, once the page is connected."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = await browser.new_context(base_url=origin)
        cookies = [{"name": name, "value": value, "url": origin} for name, value in shop.person.cookies.items()]
        await context.add_cookies(cookies)  # type: ignore[arg-type]  # its own typed dictionary
        page = await context.new_page()
        await page.goto(f"/c/{shop.connection_id}/sessions")
        await page.wait_for_selector("[data-live-connected]", state="attached")
        await page.evaluate(_SEEN)
        yield page
        await browser.close()


async def _note_events(reader: asyncio.StreamReader, arrived: dict[str, float]) -> None:
    while line := await reader.readline():
        if line.startswith(b"data: {"):
            arrived.setdefault(str(json.loads(line[6:]).get("sessionId")), time.time())


async def _see_write(
    shop: Shop, agent: httpx.AsyncClient, page: Page, token: str, number: int, sent: dict[str, float]
) -> float:
    await asyncio.sleep(random.uniform(1.2, 1.8))  # noqa: S311 - one refresh a second is not what is measured
    headers = {"apikey": token, "x-basewarden-session": f"live {number}"}
    began = time.time()
    answer = await agent.post(f"{shop.path}/bench_notes", json={"body": "a note", "n": number}, headers=headers)
    session = answer.raise_for_status().headers["x-basewarden-session"]
    sent[session] = began
    await page.wait_for_function("id => window.seen[id]", arg=session, timeout=10_000)
    seen: float = await page.evaluate("id => window.seen[id]", session)
    return seen - began * 1000


# Streams --------------------------------------------------------------------------------------------------


async def measure_idle(shop: Shop, origin: str, pid: int, count: int, seconds: int) -> list[str]:
    await asyncio.sleep(2)
    alone, before = await _watch_cpu(pid, seconds), _read_resident(pid)
    async with open_streams(shop, origin, count):
        await asyncio.sleep(5)
        after = _read_resident(pid)
        cpu = await _watch_cpu(pid, seconds)
    print(f"\n{count} idle streams in one process, {seconds} s each:")
    print(f"CPU {cpu:.2%} of a processor, {alone:.2%} without them")
    print(f"memory {(after - before) / count / 1024:.0f} KB for each, {(after - before) / 1e6:.1f} MB in all")
    return [] if cpu - alone < IDLE_LIMIT else [f"idle streams take more than {IDLE_LIMIT:.0%} of a processor"]


@dataclass(frozen=True)
class WriteSample:
    """`cpu` is microseconds a write, of the server and of PostgreSQL: steadier than a rate on a busy machine."""

    per_second: float
    cpu: float


async def measure_rate(shop: Shop, options: argparse.Namespace) -> list[str]:
    """The same process with and without streams: the load of both on the same processors is the worst case."""
    request = await _make_insert(shop)
    samples: dict[bool, list[WriteSample]] = {False: [], True: []}
    for number in range(options.rounds + 1):
        for has_streams in (False, True):
            async with open_streams(shop, shop.origin, options.streams if has_streams else 0):
                sample = await _apply(shop, shop.origin, shop.pid, request)
            if number:
                samples[has_streams].append(sample)
    print(f"\nwrites with {options.streams} streams in the same process, and without:")
    _print_ratio(samples[True], samples[False])
    return []


async def measure_against(shop: Shop, folder: Path, origin: str, pid: int, options: argparse.Namespace) -> list[str]:
    request = await _make_insert(shop)
    samples: dict[str, list[WriteSample]] = {"this": [], "other": []}
    with serve_beside(shop, folder, options.against) as (other, other_pid):
        for number in range(options.rounds + 1):
            for name, where, process in (("this", origin, pid), ("other", other, other_pid)):
                sample = await _apply(shop, where, process, request)
                print_line(f"{name}: {sample.per_second:,.0f}/s, {sample.cpu:,.0f} µs")
                if number:
                    samples[name].append(sample)
    print("\nwrites of this checkout beside the other, without streams:")
    ratio = _print_ratio(samples["this"], samples["other"])
    return [] if ratio >= RATE_LIMIT else [f"writes take 1/{ratio:.3f} of the other checkout's CPU time"]


@asynccontextmanager
async def open_streams(shop: Shop, origin: str, count: int) -> AsyncIterator[None]:
    """Streams whose bytes are read and forgotten."""
    head = _make_head(shop, origin)
    opened = [await _open_stream(origin, head) for _ in range(count)]
    reading = [asyncio.create_task(_read_on(reader)) for reader, _ in opened]
    try:
        yield
    finally:
        for task, (_, writer) in zip(reading, opened, strict=True):
            task.cancel()
            writer.close()


def _make_head(shop: Shop, origin: str) -> str:
    name, value = next((name, value) for name, value in shop.person.cookies.items() if "session-token" in name)
    return (
        f"GET /api/connections/{shop.connection_id}/events HTTP/1.1\r\nHost: {urlsplit(origin).netloc}\r\n"
        f"Cookie: {name}={quote(value)}\r\n\r\n"
    )


async def _open_stream(origin: str, head: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(origin)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"no stream was opened: {answer!r}")
    return reader, writer


async def _read_on(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65_536):
            pass


async def _make_insert(shop: Shop) -> LoadRequest:
    case = next(case for case in CASES if case.name == "insert")
    headers = {"Content-Type": "application/json", "apikey": await shop.make_agent()}
    return LoadRequest(case.method, shop.path + case.path, headers, case.body, case.highest)


async def _apply(shop: Shop, origin: str, pid: int, request: LoadRequest) -> WriteSample:
    before = sum(map(read_cpu, list_family([pid]))) + shop.postgres_cpu()
    load = await asyncio.to_thread(apply_load, origin, request, connections=32, seconds=4)
    if load.errors or not load.requests:
        raise SystemExit(f"{load.errors} writes failed: nothing was measured")
    cpu = sum(map(read_cpu, list_family([pid]))) + shop.postgres_cpu() - before
    return WriteSample(load.per_second, cpu / load.requests * 1e6)


async def _watch_cpu(pid: int, seconds: int) -> float:
    before = sum(map(read_cpu, list_family([pid])))
    await asyncio.sleep(seconds)
    return (sum(map(read_cpu, list_family([pid]))) - before) / seconds


def _read_resident(pid: int) -> int:
    return sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in list_family([pid])) * PAGE


def _print_ratio(ours: Sequence[WriteSample], base: Sequence[WriteSample]) -> float:
    """Returns the ratio of the rates that the CPU times allow."""
    rate = statistics.median(one.per_second / other.per_second for one, other in zip(ours, base, strict=True))
    cpu = statistics.median(other.cpu / one.cpu for one, other in zip(ours, base, strict=True))
    rates = [statistics.median(one.per_second for one in samples) for samples in (ours, base)]
    times = [statistics.median(one.cpu for one in samples) for samples in (ours, base)]
    print(f"{rates[0]:,.0f} against {rates[1]:,.0f} a second, ratio {rate:.3f}; ", end="")
    print(f"{times[0]:,.0f} against {times[1]:,.0f} µs of CPU a write, ratio {cpu:.3f}")
    return cpu


# NOTIFY ---------------------------------------------------------------------------------------------------

_INSERT, _NOTIFY = "INSERT INTO bench_live (n) VALUES (1)", "SELECT pg_notify('bench_live', 'x')"
Write = Callable[[psycopg.AsyncConnection[object]], Awaitable[None]]


async def compare_notifications(shop: Shop, rounds: int) -> None:
    async with await psycopg.AsyncConnection.connect(shop.dsn, autocommit=True) as owner:
        await owner.execute("CREATE TABLE bench_live (n int)")
    ways: dict[str, Write] = {
        "without": _write_only,
        "in the transaction": _write_notifying,
        "after each": _write_then_notify,
        "at most every 50 ms": _Batched().write,
    }
    samples: dict[str, list[WriteSample]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, write in ways.items():
            before = shop.postgres_cpu()
            count = await _run_writers(shop.dsn, write)
            if number:
                cpu = (shop.postgres_cpu() - before) / count * 1e6
                samples[name].append(WriteSample(count / _WRITE_SECONDS, cpu))
    print(f"\nways to announce the writes of {_WRITERS} connections, ratio to writes without:")
    for name in ways:
        print(f"{name:<20}", end="")
        _print_ratio(samples[name], samples["without"])


async def _run_writers(dsn: str, write: Write) -> int:
    async with contextlib.AsyncExitStack() as stack:
        connections = [
            await stack.enter_async_context(await psycopg.AsyncConnection.connect(dsn, autocommit=True))
            for _ in range(_WRITERS + 1)
        ]
        listening, *writing = connections
        await listening.execute("LISTEN bench_live")
        task = asyncio.create_task(_hear(listening))
        until = time.perf_counter() + _WRITE_SECONDS
        counts = await asyncio.gather(*(_write_until(one, write, until) for one in writing))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return sum(counts)


async def _hear(connection: psycopg.AsyncConnection[object]) -> None:
    async for _ in connection.notifies():
        pass


async def _write_until(connection: psycopg.AsyncConnection[object], write: Write, until: float) -> int:
    count = 0
    while time.perf_counter() < until:
        await write(connection)
        count += 1
    return count


async def _write_only(connection: psycopg.AsyncConnection[object]) -> None:
    await connection.execute(f"WITH written AS ({_INSERT}) SELECT 1")


async def _write_notifying(connection: psycopg.AsyncConnection[object]) -> None:
    await connection.execute(f"WITH written AS ({_INSERT}) {_NOTIFY}")


async def _write_then_notify(connection: psycopg.AsyncConnection[object]) -> None:
    await connection.execute(_INSERT)
    await connection.execute(_NOTIFY)


class _Batched:
    def __init__(self) -> None:
        self._due = 0.0

    async def write(self, connection: psycopg.AsyncConnection[object]) -> None:
        await connection.execute(_INSERT)
        if time.perf_counter() >= self._due:
            self._due = time.perf_counter() + 0.05
            await connection.execute(_NOTIFY)


if __name__ == "__main__":
    asyncio.run(main())
