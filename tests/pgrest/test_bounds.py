"""What a database may make us hold in memory, and for how long, whatever it sends."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from pgrest import DatabaseError, DbConnection, MemoryBudget, Meter, PgrestError, Pool, Statement, Terms
from pgrest.wire.poolers import is_direct, is_transaction_pooled
from tests.fakes.hostile_postgres import run_hostile_postgres

_LIMIT = 16_000_000
_MOST_GROWTH = 6 * _LIMIT
"""Values that are NULL take four bytes on the wire and sixteen in libpq."""
_LONGEST_STALL = 2.0
_ONE = Statement("SELECT 1")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def count_open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Watch:
    growth = 0
    stall = 0.0

    async def keep(self) -> None:
        before, last = resident_bytes(), time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            self.stall, last = max(self.stall, now - last), now
            self.growth = max(self.growth, resident_bytes() - before)


@asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """Memory stays bounded, and others are answered meanwhile."""
    watch = Watch()
    task = asyncio.create_task(watch.keep())
    await asyncio.sleep(0.02)
    try:
        async with asyncio.timeout(20):
            yield
        await asyncio.sleep(0.02)
    finally:
        task.cancel()
    assert watch.growth < _MOST_GROWTH
    assert watch.stall < _LONGEST_STALL


def address_of(port: int) -> str:
    return f"postgresql://somebody@127.0.0.1:{port}/anything?hostaddr=127.0.0.1&sslmode=prefer"


async def connect(port: int) -> DbConnection:
    return await DbConnection.connect(address_of(port), timeout=5, prepare=False, guarded=True)


@pytest.mark.parametrize("mode", ["endless_rows", "endless_nulls", "many_rows", "huge_row", "endless_notices"])
async def test_a_result_without_an_end_is_cut_off(mode: str) -> None:
    async with run_hostile_postgres(mode) as hostile, watched():
        conn = await connect(hostile.port)
        conn.meter = Meter(_LIMIT)
        with pytest.raises(PgrestError) as raised:
            await conn.run([_ONE])
        assert (raised.value.status, raised.value.code) == (413, "answer_too_large")
        assert not conn.is_usable
        await conn.close()


async def test_settings_without_an_end_are_cut_off() -> None:
    """Libpq compares each new one with all that it has."""
    async with run_hostile_postgres("endless_settings") as hostile, watched():
        conn = await connect(hostile.port)
        conn.meter = Meter(_LIMIT)
        with pytest.raises(PgrestError):
            await conn.run([_ONE])
        assert not conn.is_usable
        await conn.close()


@pytest.mark.parametrize("mode", ["settings_at_start", "notices_at_start", "huge_notice_at_start"])
async def test_a_server_that_is_never_ready_is_left(mode: str) -> None:
    async with run_hostile_postgres(mode) as hostile, watched():
        with pytest.raises(psycopg.OperationalError):
            await connect(hostile.port)


@pytest.mark.parametrize("mode", ["notifies_when_idle", "settings_when_idle"])
async def test_an_idle_connection_that_says_too_much_is_closed(mode: str) -> None:
    async with run_hostile_postgres(mode) as hostile, watched():
        conn = await connect(hostile.port)
        conn.meter = Meter(_LIMIT)
        await conn.run([_ONE])
        conn.meter = None
        await conn.wait_closed()
        assert not conn.is_usable
        await conn.close()


async def test_a_password_that_is_hashed_for_ever_does_not_delay_others(shop: str) -> None:
    """The server says how many rounds, and libpq cannot be stopped in between: one such step is all it gets."""
    async with run_hostile_postgres("many_rounds") as hostile, watched():
        address = address_of(hostile.port).replace("somebody", "somebody:secret")
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            await DbConnection.connect(address, timeout=1, prepare=False, guarded=True)
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            await DbConnection.connect(address, timeout=60, prepare=False, guarded=True)
        other = await DbConnection.connect(shop, prepare=False, guarded=True)
        await other.run([_ONE])
        await other.close()


async def test_a_setting_that_is_no_text_leaves_no_connection_behind() -> None:
    async with run_hostile_postgres("strange_setting") as hostile:
        pool = Pool(address_of(hostile.port), prepare=False, guarded=True, max_size=2)
        before = count_open_files()
        for _ in range(5):
            async with pool.acquire() as conn:
                await conn.run([_ONE])
        await pool.close()
        assert count_open_files() == before


async def test_a_process_id_that_is_no_number_counts_as_a_pooler() -> None:
    async with run_hostile_postgres("strange_setting") as hostile:
        conn = await connect(hostile.port)
        assert not await is_direct(conn)
        assert await is_transaction_pooled(conn, lambda: connect(hostile.port))
        await conn.close()


async def test_an_answer_too_few_ends_the_connection() -> None:
    async with run_hostile_postgres("strange_setting") as hostile:
        conn = await connect(hostile.port)
        with pytest.raises(PgrestError):
            await conn.run([_ONE, _ONE])
        assert not conn.is_usable
        await conn.close()


async def test_nonsense_ends_the_connection() -> None:
    async with run_hostile_postgres("negative_length") as hostile, watched():
        conn = await connect(hostile.port)
        conn.meter = Meter(_LIMIT)
        with pytest.raises(PgrestError):
            await conn.run([_ONE])
        await conn.close()


@pytest.mark.parametrize("mode", ["rows_that_are_no_json", "no_rows_where_some_must_be", "endless_completions"])
async def test_more_or_fewer_answers_than_statements_end_the_connection(mode: str) -> None:
    """One statement's rows must not pass for another's."""
    async with run_hostile_postgres(mode) as hostile, watched():
        conn = await connect(hostile.port)
        conn.meter = Meter(_LIMIT)
        with pytest.raises(PgrestError):
            await conn.run([_ONE, _ONE])
        assert not conn.is_usable
        await conn.close()


async def test_a_server_that_never_answers_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgrest.wire.pool._GRACE_SECONDS", 0.1)
    async with run_hostile_postgres("silent") as hostile, watched():
        pool = Pool(address_of(hostile.port), prepare=False)
        with pytest.raises(PgrestError) as raised:
            async with pool.acquire(Terms(seconds=0.2)) as conn:
                await conn.run([_ONE])
        assert (raised.value.status, raised.value.code) == (504, "query_timeout")
        assert pool.figures.open == 0
        await pool.close()


async def test_a_server_that_falls_silent_once_connected_lends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgrest.wire.pool._GETTING_READY_SECONDS", 0.1)
    async with run_hostile_postgres("silent") as hostile, watched():
        for guarded in (False, True):
            pool = Pool(address_of(hostile.port), connect_seconds=1, guarded=guarded)
            with pytest.raises(PgrestError) as raised:
                async with pool.acquire():
                    pass
            assert (raised.value.status, raised.value.code) == (503, "PGRST000")
            assert pool.figures.in_use == 0
            await pool.close()


# Against the real thing ----------------------------------------------------------------------------------


@pytest.fixture
async def guarded(shop: str) -> AsyncIterator[DbConnection]:
    conn = await DbConnection.connect(f"{shop}{'&' if '?' in shop else '?'}hostaddr=127.0.0.1", guarded=True)
    conn.meter = Meter(_LIMIT)
    yield conn
    await conn.close()


async def test_a_large_answer_below_the_limit_comes_whole_and_in_order(guarded: DbConnection) -> None:
    texts = [f"{number}:{'x' * (number * 997 % 5000)}".encode() for number in range(2000)]
    query = Statement("SELECT n || ':' || repeat('x', n * 997 % 5000) FROM generate_series(0, 1999) AS n")
    for _ in range(2):
        [rows] = await guarded.run([query])
        assert [row[0] for row in rows.rows] == texts
        guarded.meter = Meter(_LIMIT)
    assert guarded.is_usable
    assert guarded.transaction_status == TransactionStatus.IDLE
    [rows] = await guarded.run([Statement("SELECT 42")])
    assert rows.rows == [(b"42",)]


async def test_much_goes_out_while_much_comes_in(guarded: DbConnection) -> None:
    """Neither side waits for the other while a valve is in place."""
    big = b"y" * 3_000_000
    answers = await guarded.run([Statement("SELECT $1::text || repeat('z', 100)", (big,))] * 3)
    assert [rows.rows[0][0] == big + b"z" * 100 for rows in answers] == [True] * 3


async def test_what_was_written_in_a_run_that_is_cut_off_is_not_kept(guarded: DbConnection, conn: DbConnection) -> None:
    statements = [Statement("BEGIN"), Statement("DELETE FROM items"), Statement("SELECT repeat('x', 50000000)")]
    with pytest.raises(PgrestError) as raised:
        await guarded.run(statements)
    assert raised.value.code == "answer_too_large"
    [rows] = await conn.run([Statement("SELECT count(*) FROM items")])
    assert rows.rows == [(b"3",)]


async def test_a_connection_that_has_grown_is_not_kept(shop: str) -> None:
    pool = Pool(f"{shop}?hostaddr=127.0.0.1", max_size=1, guarded=True)
    terms = Terms(most_bytes=_LIMIT)
    async with pool.acquire(terms) as small:
        await small.run([Statement("SELECT repeat('x', 1000000)")])
    async with pool.acquire(terms) as again:
        assert again is small
        await again.run([Statement("SELECT repeat('x', 5000000)")])
    assert not again.is_usable
    assert pool.figures.open == 0
    await pool.close()


async def test_what_many_hold_together_is_bounded(shop: str) -> None:
    budget = MemoryBudget(20_000_000)
    pool = Pool(f"{shop}?hostaddr=127.0.0.1", max_size=3, guarded=True, budget=MemoryBudget(10_000_000, budget))
    terms = Terms(most_bytes=_LIMIT)
    async with pool.acquire(terms) as first, pool.acquire(terms) as second:
        await first.run([Statement("SELECT repeat('x', 9000000)")])
        assert budget.held > 7_000_000
        with pytest.raises(PgrestError) as raised:
            await second.run([Statement("SELECT repeat('x', 9000000)")])
        assert (raised.value.status, raised.value.code) == (503, "memory_busy")
        async with pool.acquire(terms) as third:
            await third.run([Statement("SELECT repeat('x', 900000)")])
    assert budget.held == 0
    async with pool.acquire(terms) as later:
        await later.run([Statement("SELECT repeat('x', 9000000)")])
    await pool.close()


async def sleep_long(pool: Pool, seconds: float) -> None:
    async with pool.acquire(Terms(seconds=seconds)) as conn:
        await conn.run([Statement("SET statement_timeout = '150ms'"), Statement("SELECT pg_sleep(20)")])


async def test_a_statement_that_the_server_stops_in_time_costs_no_connection(shop: str) -> None:
    pool = Pool(f"{shop}?hostaddr=127.0.0.1", max_size=1, guarded=True)
    with pytest.raises(PgrestError) as raised:
        await sleep_long(pool, 0.1)
    assert (raised.value.status, raised.value.code) == (504, "query_timeout")
    with pytest.raises(DatabaseError) as earlier:
        await sleep_long(pool, 20)
    assert earlier.value.sqlstate == "57014"
    assert pool.figures.open == 1
    await pool.close()
