"""Parallel writers of one agent against its rows of an hour, on two processes: never above, at most one write below.

    .venv/bin/python -m benchmarks.budget_race [--writers 64] [--rows 1000] [--at-once 7]

Each writer inserts so many rows at once, under session names of its own, until it is refused. Ends with 1 where more
rows are there than allowed, or fewer than one write more would have taken.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import httpx
import psycopg

from benchmarks.servers import Shop, print_line, serve_shop

_REFUSED, _CREATED = 429, 201
_TABLE = "CREATE TABLE public.raced (id bigint PRIMARY KEY, writer int)"


async def _race(shop: Shop, writers: int, rows: int, at_once: int) -> int:
    wanted = {"name": "racer", "access": "write", "maxWritesPerSession": 1_000_000, "maxRowsPerHour": rows}
    made = await shop.person.post(f"/api/connections/{shop.connection_id}/agents", json=wanted)
    made.raise_for_status()
    ids = count(1)

    async def write_until_refused(writer: int) -> None:
        headers = {"apikey": made.json()["token"]}
        async with httpx.AsyncClient(base_url=shop.origin, headers=headers, timeout=60, trust_env=False) as client:
            for number in count():
                body = [{"id": next(ids), "writer": writer} for _ in range(at_once)]
                named = {"x-basewarden-session": f"{writer}-{number}"}
                answer = await client.post(f"{shop.path}/raced", json=body, headers=named)
                if answer.status_code == _REFUSED:
                    return
                if answer.status_code != _CREATED:
                    raise RuntimeError(answer.text)

    await asyncio.gather(*(write_until_refused(writer) for writer in range(writers)))
    async with await psycopg.AsyncConnection.connect(shop.dsn) as connection:
        found = await (await connection.execute("SELECT count(*) FROM public.raced")).fetchone()
    return int(found[0]) if found else 0


async def _run(writers: int, rows: int, at_once: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="budget-race-"))
    try:
        async with serve_shop(folder, workers=2) as shop:
            async with await psycopg.AsyncConnection.connect(shop.dsn, autocommit=True) as connection:
                await connection.execute(_TABLE)
            begun = time.monotonic()
            written = await _race(shop, writers, rows, at_once)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    is_right = rows - at_once < written <= rows
    print_line(f"{writers} writers, {rows} rows an hour, {at_once} at once, 2 processes: {written} rows written")
    print_line(f"{time.monotonic() - begun:.1f} s, {'as it must be' if is_right else 'WRONG'}")
    return 0 if is_right else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=7)
    given = parser.parse_args()
    return asyncio.run(_run(given.writers, given.rows, given.at_once))


if __name__ == "__main__":
    sys.exit(main())
