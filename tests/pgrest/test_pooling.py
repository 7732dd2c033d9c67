"""Whether a pooler is in between, asked while others use it, and what happens where that was not noticed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pgrest import DatabaseError, DbConnection, Pool, Statement
from pgrest.errors import PlanStale
from pgrest.wire.poolers import is_direct, is_transaction_pooled
from tests.fixtures.pgbouncer import run_pgbouncer

PID = Statement("SELECT pg_backend_pid()")
ANSWER = Statement("SELECT 41 + 1")


@pytest.fixture
async def pooled(shop: str, data_dir: Path) -> AsyncIterator[str]:
    async with run_pgbouncer(shop, data_dir.parent, "transaction", size=3) as dsn:
        yield dsn


async def leave_statements(dsn: str) -> None:
    """As an earlier server leaves them: in every session that the pooler has, under the names that we use."""
    loud = [await DbConnection.connect(dsn, prepare=False) for _ in range(3)]
    for conn in loud:
        await conn.run([Statement("BEGIN")])
    for conn in loud:
        await conn.run([Statement(f"PREPARE bw{n} AS SELECT 'somebody else''s'") for n in range(1, 9)])
        await conn.run([Statement("COMMIT")])
        await conn.close()


async def test_sessions_where_an_earlier_server_left_its_statements(pooled: str) -> None:
    await leave_statements(pooled)
    pool = Pool(pooled)

    async def ask() -> None:
        async with pool.acquire() as conn:
            [rows] = await conn.run([ANSWER])
            assert rows.rows == [(b"42",)]

    await asyncio.gather(*(ask() for _ in range(20)))
    await pool.close()


async def test_a_pooler_is_detected_while_others_use_it(pooled: str) -> None:
    is_over = False

    async def disturb() -> None:
        conn = await DbConnection.connect(pooled, prepare=False)
        while not is_over:
            await conn.run([PID])
        await conn.close()

    busy = [asyncio.create_task(disturb()) for _ in range(4)]
    try:
        for _ in range(20):
            conn = await DbConnection.connect(pooled, prepare=False)
            assert not await is_direct(conn)
            assert await is_transaction_pooled(conn, lambda: DbConnection.connect(pooled, prepare=False))
            await conn.close()
    finally:
        is_over = True
        await asyncio.gather(*busy)


async def test_a_session_pooler_is_not_taken_for_one(shop: str, data_dir: Path) -> None:
    async with run_pgbouncer(shop, data_dir.parent, "session", size=10) as dsn:
        conn = await DbConnection.connect(dsn, prepare=False)
        assert not await is_direct(conn)
        assert not await is_transaction_pooled(conn, lambda: DbConnection.connect(dsn, prepare=False))
        await conn.close()
        pool = Pool(dsn)
        async with pool.acquire() as lent:
            assert lent.prepares
        await pool.close()


@pytest.mark.parametrize("what", ["PREPARE bw1 AS SELECT 1", "DEALLOCATE ALL"])
async def test_a_name_that_is_not_ours_alone_is_run_again_without(conn: DbConnection, what: str) -> None:
    if what == "DEALLOCATE ALL":
        await conn.run([ANSWER])
    conn.prepares = False
    await conn.run([Statement(what)])
    conn.prepares = True
    with pytest.raises(PlanStale):
        await conn.run([ANSWER])
    assert not conn.prepares
    [rows] = await conn.run([ANSWER])
    assert rows.rows == [(b"42",)]


async def test_an_error_of_the_same_code_from_a_function_is_not_ours(conn: DbConnection) -> None:
    with pytest.raises(DatabaseError) as caught:
        await conn.run([Statement("DO $$ BEGIN RAISE SQLSTATE '42P05'; END $$")])
    assert not isinstance(caught.value, PlanStale)
    assert conn.prepares


async def test_a_pool_whose_connection_lost_its_statements_asks_again(shop: str) -> None:
    """A direct server: it goes on preparing, on another connection."""
    pool = Pool(shop)
    async with pool.acquire() as first:
        await first.run([ANSWER])
        first.prepares = False
    assert not first.is_usable
    async with pool.acquire() as second:
        assert second is not first
        assert second.prepares
    await pool.close()
