"""Retention of a large journal while writes go on. Prints how much slower a write is meanwhile.

    .venv/bin/python -m benchmarks.retention [--rows 1000000] [--seconds 20]

Two fifths of the rows lie in months that go whole, two fifths in a month that is not past and one fifth in one that
holds a session that is needed: those go row by row. Retention is asked for twice at once. A write is a journaled
update of one row by key, over HTTP, from 8 connections, each of which rests a little between two writes: a machine
at its limit would only show that work takes time.
"""

import argparse
import asyncio
import os
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.cases import CASES
from benchmarks.load import LoadRequest
from benchmarks.old_journal import Shape, count_journal, fill, make_connection
from benchmarks.servers import Shop, list_product_targets, serve_shop

CONNECTIONS = 8
REST_SECONDS = 0.04
ROWS_A_SESSION = 1000
KEEP_DAYS = 90


@dataclass(frozen=True)
class WritePhase:
    """The seconds that each write took."""

    name: str
    times: list[float]

    def percentile(self, which: int) -> float:
        return statistics.quantiles(self.times, n=1000)[which - 1] * 1000

    def describe(self) -> str:
        shown = "".join(f"{self.percentile(which):>10.1f}" for which in (500, 950, 990, 999))
        return f"{self.name:<12}{len(self.times):>10,}{shown}{max(self.times) * 1000:>10.1f}"


async def main() -> None:
    options = _parse_arguments()
    os.environ["CRON_SECRET"] = secret = secrets.token_urlsafe(32)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with serve_shop(Path(folder) / "data") as shop:
            dsn = shop.postgres.dsn("basewarden")
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
                expected = await _fill(admin, options.rows)
                await _measure(shop, admin, secret, options.seconds, expected)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="mutations in the old journal")
    parser.add_argument("--seconds", type=int, default=20, help="length of the measurements before and after")
    return parser.parse_args()


async def _fill(admin: psycopg.AsyncConnection[Any], rows: int) -> dict[str, int]:
    """What must be pruned of it."""
    connection_id = await make_connection(admin)
    fifth = rows // ROWS_A_SESSION // 5
    shapes = [
        Shape(2 * fifth, 10, ROWS_A_SESSION // 10, days=220, spread=60),
        Shape(2 * fifth, 10, ROWS_A_SESSION // 10, days=KEEP_DAYS + 0.1),
        Shape(fifth, 10, ROWS_A_SESSION // 10, days=150),
    ]
    for shape in shapes:
        _print_line(f"Filling the journal: {shape}")
        *_, needed = await fill(admin, connection_id, shape)
    await admin.execute("UPDATE journal_writes SET state = 'unknown' WHERE session_id = %s", (needed,))
    await admin.execute("VACUUM ANALYZE")
    one = Shape(1, 10, ROWS_A_SESSION // 10, days=0).counts
    return {table: sum(shape.counts[table] for shape in shapes) - one[table] for table in one}


async def _measure(
    shop: Shop, admin: psycopg.AsyncConnection[Any], secret: str, seconds: int, expected: dict[str, int]
) -> None:
    data_api = next(target for target in await list_product_targets(shop) if target.name == "token")
    write = data_api.request(next(case for case in CASES if case.name == "update"))
    await _write_during(shop, write, "warm-up", asyncio.sleep(5))
    before = await _write_during(shop, write, "before", asyncio.sleep(seconds))
    left = await count_journal(admin)
    prunings = asyncio.gather(_prune(shop, secret), _prune(shop, secret))
    during = await _write_during(shop, write, "during", prunings)
    after = await _write_during(shop, write, "after", asyncio.sleep(seconds))
    _print_line(f"The journal before: {left}, after it all: {await count_journal(admin)}")
    print(f"\n{CONNECTIONS} connections; milliseconds a write")
    print(f"{'':<12}{'writes':>10}{'p50':>10}{'p95':>10}{'p99':>10}{'p99.9':>10}{'worst':>10}")
    for phase in (before, during, after):
        print(phase.describe())
    print(f"p99 during against before: {during.percentile(990) / before.percentile(990):.2f}")
    for answer in prunings.result():
        print(answer)
    found = {table: sum(answer["pruned"].get(table, 0) for answer in prunings.result()) for table in expected}
    print(f"pruned {found}, expected {expected}: {'exact' if found == expected else 'WRONG'}")


async def _prune(shop: Shop, secret: str) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=3600, trust_env=False) as client:
        answer = await client.post(f"{shop.origin}/api/cron/retention", headers={"authorization": f"Bearer {secret}"})
    body: dict[str, Any] = answer.raise_for_status().json()
    return body


async def _write_during(shop: Shop, write: LoadRequest, name: str, work: Awaitable[Any]) -> WritePhase:
    """Writes for as long as the work takes."""
    over = asyncio.Event()
    writers = [asyncio.create_task(_keep_writing(shop.origin, write, over)) for _ in range(CONNECTIONS)]
    try:
        await work
    finally:
        over.set()
        times = await asyncio.gather(*writers)
    _print_line(f"{name}: {sum(map(len, times)):,} writes")
    return WritePhase(name, [one for own in times for one in own])


async def _keep_writing(origin: str, write: LoadRequest, over: asyncio.Event) -> list[float]:
    times = []
    async with httpx.AsyncClient(base_url=origin, headers=write.headers, trust_env=False) as client:
        while not over.is_set():
            path = write.path.replace("{n}", str(random.randint(1, write.highest)))  # noqa: S311 - load, not a secret
            started = time.perf_counter()
            answer = await client.request(write.method, path, content=write.body)
            times.append(time.perf_counter() - started)
            answer.raise_for_status()
            await asyncio.sleep(random.uniform(0, 2 * REST_SECONDS))  # noqa: S311 - load, not a secret
    return times


def _print_line(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main())
