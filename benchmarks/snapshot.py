"""The schema snapshot of a large database: loading it, keeping it fresh, and asking after it with every write.

    .venv/bin/python -m benchmarks.snapshot [--tables 5000] [--dsn postgresql://…]

Without an address it fills a database of its own, which takes a minute or two; one that is given must be empty, or
filled by an earlier run. Times are CPU time where that can be separated, because it does not depend on what else is
working: `ours` of this process, `server` of the server's process for the connection (Linux, same machine).
"""

import argparse
import asyncio
import gc
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import uvloop

from basewarden.db.embedded import start_embedded
from benchmarks.large_schema import Size, fill_database, schema_names
from pgrest import DbConnection, Pool, SchemaCache, Statement, reach_check
from pgrest.interpreter import tune_interpreter
from pgrest.schema.catalog_version import PLAN_PLAINLY, ask_catalog_version, read_catalog_version
from pgrest.schema.introspection import Snapshot, load_snapshot

_REST_SECONDS = 1.0  # people do not change their tables all the time
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "512MB"}
# What was asked before every write and once a second until 2026, as a yardstick.
_YARDSTICK = "SELECT " + ", ".join(
    f"(SELECT count(*) || '/' || coalesce(sum(xmin::text::int8), 0) FROM {source})"
    for source in (
        *(f"pg_{name} WHERE oid >= 16384" for name in ("class", "constraint", "proc", "trigger", "type", "rewrite")),
        "pg_attribute WHERE attrelid >= 16384",
        "pg_index WHERE indexrelid >= 16384",
        "pg_description WHERE objoid >= 16384",
        "pg_enum",
        "pg_attrdef",
    )
)


async def main() -> None:
    options = _parse_arguments()
    size = Size(tables=options.tables, views=options.tables // 10, functions=options.tables * 2 // 5)
    async with _find_database(options.dsn, size) as dsn:
        tune_interpreter()
        await _measure_questions(dsn, size)
        await _measure_loading(dsn)
        await _measure_freshness(dsn, size)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=5000, help="a multiple of ten")
    parser.add_argument("--dsn", help="a superuser's address of a database to fill")
    return parser.parse_args()


@asynccontextmanager
async def _find_database(dsn: str | None, size: Size) -> AsyncIterator[str]:
    if dsn is not None:
        await _fill(dsn, size)
        yield dsn
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = await start_embedded(Path(folder) / "data", progress=lambda _: None, options=_UNSAFE_BUT_FAST)
        try:
            await server.create_database("large")
            await _fill(server.dsn("large"), size)
            yield server.dsn("large")
        finally:
            await server.stop()


async def _fill(dsn: str, size: Size) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute("SELECT to_regclass('junction')")
        if (await found.fetchone() or (None,))[0] is not None:
            return
    since = time.monotonic()
    await fill_database(dsn, size)
    print(f"filled in {time.monotonic() - since:.0f} s")


@dataclass(frozen=True)
class Cost:
    """In seconds."""

    wall: float
    server: float

    def describe(self, name: str, yardstick: float) -> None:
        print(f"{name:<44}{self.wall * 1e3:>10.2f}{self.server * 1e3:>10.2f}{self.server / yardstick:>10.4f}")


async def _ask(conn: DbConnection, *statements: Statement, times: int = 15) -> Cost:
    walls, spent = [], []
    for _ in range(times + 2):
        since, before = time.perf_counter(), _server_seconds(conn)
        await conn.run([PLAN_PLAINLY, *statements])
        walls.append(time.perf_counter() - since)
        spent.append(_server_seconds(conn) - before)
    return Cost(statistics.median(walls[2:]), statistics.median(spent[2:]))


def _server_seconds(conn: DbConnection) -> float:
    return int(Path(f"/proc/{conn.backend_pid}/schedstat").read_text().split()[0]) / 1e9


async def _measure_questions(dsn: str, size: Size) -> None:
    conn = await DbConnection.connect(dsn)
    snapshot = await load_snapshot(conn, schema_names())
    schema = snapshot.schema
    (rows,) = await conn.run([ask_catalog_version(conn.server_version, whole=True)])
    moment = read_catalog_version(rows).moment
    nothing = await _ask(conn)
    yardstick = await _ask(conn, Statement(_YARDSTICK))
    print(f"\n{'question':<44}{'wall ms':>10}{'server ms':>10}{'of old':>10}")
    nothing.describe("nothing", yardstick.server)
    yardstick.describe("sums over all catalogues, as before", yardstick.server)
    (await _ask(conn, ask_catalog_version(conn.server_version, since=moment, whole=True))).describe(
        "pulse: nothing has happened", yardstick.server
    )
    (await _ask(conn, ask_catalog_version(conn.server_version, whole=False))).describe(
        "pulse: glance", yardstick.server
    )
    (await _ask(conn, ask_catalog_version(conn.server_version, whole=True))).describe("pulse: whole", yardstick.server)
    names = sorted(schema.tables, key=lambda name: len(schema.tables[name].triggers))
    plain = next(name for name in names if len(schema.reaches[name]) == 1 and schema.tables[name].kind == "table")
    hub = _split(size.table(0))
    keys = len(schema.tables[hub].foreign_keys_in)
    for name, text in (
        (plain, "a table"),
        (("public", "events_0"), f"a table of {size.partitions // 10} partitions"),
        (hub, f"{len(schema.reaches[hub])} tables in reach, {keys} keys onto one"),
    ):
        cost = await _ask(conn, reach_check(schema, name), times=50)
        cost.describe(f"write check: {text}"[:43], yardstick.server)
    await conn.close()


def _split(name: str) -> tuple[str, str]:
    space, _, local = name.partition(".")
    return space, local


async def _measure_loading(dsn: str) -> None:
    conn = await DbConnection.connect(dsn)
    gc.collect()
    before = _resident_bytes()
    longest = _Longest()
    since, ours, server = time.perf_counter(), time.process_time(), _server_seconds(conn)
    async with longest.watching():
        snapshot = await load_snapshot(conn, schema_names())
    wall, ours, server = time.perf_counter() - since, time.process_time() - ours, _server_seconds(conn) - server
    gc.collect()
    held = _resident_bytes() - before
    schema = snapshot.schema
    columns = sum(len(table.columns) for table in schema.tables.values())
    keys = sum(len(table.foreign_keys_out) for table in schema.tables.values())
    print(
        f"\n{len(schema.tables)} relations, {columns} columns, {keys} foreign keys, {len(schema.functions)} functions"
    )
    print(
        f"loaded in {wall:.2f} s: ours {ours:.2f} s, server {server:.2f} s; others wait {longest.seconds * 1e3:.0f} ms"
    )
    print(f"memory: {held / 1e6:.0f} MB")
    since = time.perf_counter()
    gc.collect()
    print(f"a whole garbage collection with it: {(time.perf_counter() - since) * 1e3:.0f} ms")
    _measure_relationships(snapshot)
    await conn.close()


def _measure_relationships(snapshot: Snapshot) -> None:
    relationships = snapshot.schema.relationships
    spent: list[float] = []
    found = 0
    for table in relationships:
        since = time.thread_time()
        found += len(relationships[table])
        spent.append(time.thread_time() - since)
    print(
        f"{found} relationships, derived table by table: all {sum(spent):.2f} s, "
        f"median {statistics.median(spent) * 1e6:.0f} µs, longest {max(spent) * 1e3:.0f} ms"
    )


class _Longest:
    """The most CPU time that the loop's thread took before it let others run."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._watch())
        yield
        await asyncio.sleep(0.01)
        task.cancel()

    async def _watch(self) -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0.0005)
            now = time.thread_time()
            self.seconds = max(self.seconds, now - last)
            last = now


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


async def _measure_freshness(dsn: str, size: Size) -> None:
    """From a change's commit until requests are answered by it, while requests go on."""
    pool = Pool(dsn)
    cache = SchemaCache(pool, schema_names())
    await cache.get()
    table = size.table(size.tables // 2)
    print(f"\n{'change':<44}{'seconds until requests have it':>32}")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as owner:
        for name, change, back in (
            ("a column", f"ALTER TABLE {table} ADD extra int", f"ALTER TABLE {table} DROP extra"),
            ("a table", "CREATE TABLE fresh (id int PRIMARY KEY)", "DROP TABLE fresh"),
            ("a function", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f()"),
            ("a type renamed: everything is read", "ALTER TYPE mood_0 RENAME TO m", "ALTER TYPE m RENAME TO mood_0"),
        ):
            print(f"{name:<44}{await _wait_for_change(cache, owner, [change, back]):>32}")
    await cache.close()
    await pool.close()


async def _wait_for_change(cache: SchemaCache, owner: psycopg.AsyncConnection[Any], changes: list[str]) -> str:
    waited = []
    for change in changes * 2:
        seen = await cache.get()
        await owner.execute(change.encode())
        since = time.perf_counter()
        while await cache.get() is seen:
            await asyncio.sleep(0.005)
        waited.append(time.perf_counter() - since)
        await asyncio.sleep(_REST_SECONDS)
    return f"{statistics.median(waited):.2f} (at most {max(waited):.2f})"


if __name__ == "__main__":
    uvloop.run(main())
