"""The undo of a large session: how long each press takes, and how long it keeps the event loop from everybody else.

    .venv/bin/python -m benchmarks.undo [--rows 100000]

An agent writes to the demo shop's largest table until its session holds that many changes of rows. A person asks for
the preview, applies it, and takes that back, while another agent reads and `/api/health/live` is asked every 20 ms.
Ends with 1 where the loop stalled for more than 100 ms, or where a row is not as it was.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.hostile import HONEST
from benchmarks.servers import Shop, print_line, serve_shop
from benchmarks.watching import WatchedRun, observing

LONGEST_STALL = 0.100
IDLE_SECONDS = 8
_TABLE = "order_items"
_DIGEST = f"SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text)) FROM {_TABLE} t"


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="changes of rows in the session")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        async with serve_shop(Path(folder) / "data") as shop:
            wrong = await _measure(shop, options.rows)
    for text in wrong:
        print(f"FAILED: {text}")
    return 1 if wrong else 0


async def _measure(shop: Shop, rows: int) -> list[str]:
    shop.person.timeout = httpx.Timeout(600)
    digests = [await _digest(shop)]
    session, changes = await _write(shop, rows)
    digests.append(await _digest(shop))
    print_line(f"The session holds {changes:,} changes")
    honest = [f"{shop.path}{path}" for path in HONEST]
    with observing(shop.origin, shop.pid, honest, await shop.make_agent()) as observer:
        await asyncio.sleep(2)
        observer.enter("before")
        await asyncio.sleep(IDLE_SECONDS)
        seconds: dict[str, float] = {}
        for phase, mode in (("preview", "preview"), ("undo", "apply"), ("redo", "apply")):
            observer.enter(phase)
            started = time.perf_counter()
            answer = await _press(shop, session, mode)
            seconds[phase] = time.perf_counter() - started
            if phase == "undo":
                session = str(answer["undoSessionId"])
            if mode == "apply":
                digests.append(await _digest(shop))
        observer.enter("after")
        await asyncio.sleep(2)
        seen = observer.finish()
    return _find_problems(seen, seconds, digests)


async def _write(shop: Shop, rows: int) -> tuple[str, int]:
    """The session, and how many changes it holds."""
    token = await _make_agent(shop)
    async with httpx.AsyncClient(base_url=shop.origin, headers={"apikey": token}, timeout=300) as agent:
        changes, number, session = 0, 0, ""
        while changes < rows:
            number += 1
            path = f"{shop.path}/{_TABLE}?order_id=gt.0&select=order_id"
            headers = {"Prefer": "return=minimal,count=exact"}
            answer = await agent.patch(path, json={"quantity": 100 + number}, headers=headers)
            answer.raise_for_status()
            changes += int(answer.headers["content-range"].rpartition("/")[2])
            session = answer.headers["x-basewarden-session"]
    return session, changes


async def _make_agent(shop: Shop) -> str:
    wanted = {"name": "wrecker", "access": "write", "maxRowsPerWrite": 1_000_000, "maxWritesPerSession": 1_000}
    made = await shop.person.post(f"/api/connections/{shop.connection_id}/agents", json=wanted)
    return str(made.raise_for_status().json()["token"])


async def _press(shop: Shop, session: str, mode: str) -> dict[str, Any]:
    path = f"/api/connections/{shop.connection_id}/sessions/{session}/undo"
    answer = await shop.person.post(path, json={"mode": mode})
    if answer.is_error:
        raise SystemExit(f"{mode}: {answer.status_code} {answer.text[:500]}")
    found: dict[str, Any] = answer.json()
    print_line(
        f"{mode}: " + ", ".join(f"{name} {found[name]}" for name in ("planned", "reverted", "skipped") if name in found)
    )
    return found


async def _digest(shop: Shop) -> str:
    async with await psycopg.AsyncConnection.connect(shop.dsn, autocommit=True) as conn:
        row = await (await conn.execute(_DIGEST)).fetchone()
    return str(row[0]) if row is not None else ""


def _find_problems(seen: WatchedRun, seconds: dict[str, float], digests: list[str]) -> list[str]:
    idle, wrong = seen.stall("before"), []
    print(f"before   longest stall {idle * 1000:.0f} ms, honest p95 {seen.percentile('before') * 1000:.1f} ms")
    for phase, taken in seconds.items():
        stall = seen.stall(phase) - idle
        print(
            f"{phase:<8} {taken:>6.1f} s; longest stall {stall * 1000:>5.0f} ms (limit {LONGEST_STALL * 1000:.0f});"
            f" honest p95 {seen.percentile(phase) * 1000:.1f} ms; memory {seen.peak(phase) / 1e6:.0f} MB at its peak"
        )
        if stall > LONGEST_STALL:
            wrong.append(f"{phase} kept the loop for {stall * 1000:.0f} ms")
    print(f"load average {' '.join(f'{one:.1f}' for one in os.getloadavg())}, {os.cpu_count()} processors")
    if digests[2] != digests[0] or digests[3] != digests[1]:
        wrong.append("a row is not as it was")
    return wrong


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
