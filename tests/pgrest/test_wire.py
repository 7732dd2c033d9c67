"""The pipeline connection and the pool, against a real server."""

import asyncio
import gc

import pytest
from psycopg.pq import TransactionStatus

from pgrest import DatabaseError, DbConnection, PgrestError, Pool, Statement, run_again
from pgrest.errors import PlanStale
from pgrest.wire.large import LARGE_BYTES
from tests.fixtures.waiting import wait_until


async def until(conn: DbConnection, question: Statement, answer: bytes) -> None:
    await wait_until(
        lambda: conn.run([question]), f"the answer {answer!r}", matches=lambda found: found[0].rows == [(answer,)]
    )


async def test_statements_of_a_run_are_one_transaction(conn: DbConnection) -> None:
    with pytest.raises(DatabaseError) as raised:
        await conn.run([Statement("DELETE FROM items"), Statement("SELECT 1/0"), Statement("SELECT 1")])
    assert raised.value.sqlstate == "22012"
    assert conn.transaction_status == TransactionStatus.IDLE
    [rows] = await conn.run([Statement("SELECT count(*) FROM items")])
    assert rows.rows == [(b"3",)]


@pytest.mark.parametrize("size", [0, 1, LARGE_BYTES, LARGE_BYTES + 1, 3_000_000])
async def test_a_view_of_a_value_is_the_value(conn: DbConnection, size: int) -> None:
    """A large one stays where libpq has it, for as long as the view is used."""
    [rows] = await conn.run([Statement(f"SELECT left(repeat('0123456789', {size // 10 + 1}), {size}), NULL")])
    view, nothing = rows.view(0, 0), rows.view(0, 1)
    assert nothing is None
    assert view is not None
    assert isinstance(view, memoryview) is (size > LARGE_BYTES)
    del rows
    await conn.run([Statement(f"SELECT repeat('x', {size})")])
    gc.collect()
    assert bytes(view) == (b"0123456789" * (size // 10 + 1))[:size]


async def test_an_error_at_commit_is_an_error_of_the_run(conn: DbConnection) -> None:
    await conn.run([Statement("CREATE TABLE late (id int REFERENCES customers DEFERRABLE INITIALLY DEFERRED)")])
    with pytest.raises(DatabaseError) as raised:
        await conn.run([Statement("INSERT INTO late VALUES (999)")])
    assert raised.value.sqlstate == "23503"
    assert conn.is_usable
    [rows] = await conn.run([Statement("SELECT count(*) FROM late")])
    assert rows.rows == [(b"0",)]


async def test_a_transaction_may_span_runs(conn: DbConnection) -> None:
    await conn.run([Statement("BEGIN"), Statement("DELETE FROM items")])
    assert conn.transaction_status == TransactionStatus.INTRANS
    await conn.run([Statement("ROLLBACK")])
    [rows] = await conn.run([Statement("SELECT count(*) FROM items")])
    assert rows.rows == [(b"3",)]


async def test_parameters_and_nulls_go_and_come_as_text(conn: DbConnection) -> None:
    statement = Statement("SELECT $1::int + 1, $2::text, $3::bytea", (b"41", None, b"\\x00ff"))
    for _ in range(3):
        [rows] = await conn.run([statement])
        assert rows.rows == [(b"42", None, b"\\x00ff")]


async def test_prepared_statements_are_bounded_and_survive_ddl(shop: str) -> None:
    conn = await DbConnection.connect(shop)
    conn._most_prepared = 5
    for number in range(30):
        [rows] = await conn.run([Statement(f"SELECT {number}")])
        assert rows.rows == [(str(number).encode(),)]
    [held] = await conn.run([Statement("SELECT count(*) FROM pg_prepared_statements")])
    assert int(held.rows[0][0] or 0) <= 7
    star = Statement("SELECT * FROM rooms LIMIT 1")
    await conn.run([star])
    await conn.run([Statement("ALTER TABLE rooms ADD extra int")])
    with pytest.raises(PlanStale):
        await conn.run([star])
    [rows] = await conn.run([star])
    assert len(rows.columns) == 4
    await conn.close()


@pytest.mark.parametrize(
    "spoil",
    [
        "ALTER TABLE notes ALTER COLUMN body TYPE varchar",
        "DEALLOCATE ALL",
        """DO $$ BEGIN ALTER TYPE state RENAME TO old; CREATE TYPE state AS ENUM ('new', 'paid', 'sent');
           ALTER TABLE orders ALTER state DROP DEFAULT, ALTER state TYPE state USING state::text::state;
           DROP TYPE old; END $$""",
    ],
    ids=["another-result", "no-such-statement", "no-such-type"],
)
async def test_a_transaction_whose_statements_no_longer_fit_is_run_again(conn: DbConnection, spoil: str) -> None:
    whole = [
        Statement("BEGIN"),
        Statement("DELETE FROM items WHERE order_id = 2"),
        Statement("SELECT body FROM notes LIMIT 1"),
        Statement("SELECT count(*) FROM orders WHERE state = $1::state", (b"new",)),
        Statement("COMMIT"),
    ]
    await conn.run(whole)
    await conn.run([Statement(spoil)])
    *_, counted, _ = await run_again(conn, lambda: conn.run(whole))
    assert counted.rows == [(b"1",)]
    assert conn.transaction_status == TransactionStatus.IDLE


async def test_an_error_of_the_statement_itself_is_no_stale_plan(conn: DbConnection) -> None:
    with pytest.raises(DatabaseError) as raised:
        await conn.run([Statement("SELECT lo_get(1, 2, 3) FROM notes FOR UPDATE OF nothing")])
    assert not isinstance(raised.value, PlanStale)
    unsupported = Statement("DO $$ BEGIN RAISE feature_not_supported; END $$")
    with pytest.raises(DatabaseError) as raised:
        await conn.run([unsupported])
    assert (raised.value.sqlstate, type(raised.value)) == ("0A000", DatabaseError)


async def test_more_data_than_any_buffer_flows_both_ways(conn: DbConnection) -> None:
    big = b"x" * 8_000_000
    answers = await conn.run([Statement("SELECT $1::text", (big,))] * 3)
    assert [rows.rows[0][0] == big for rows in answers] == [True] * 3


async def test_a_cancelled_run_stops_the_server_and_spoils_the_connection(shop: str, conn: DbConnection) -> None:
    victim = await DbConnection.connect(shop, application_name="victim")
    task = asyncio.create_task(victim.run([Statement("SELECT pg_sleep(60)")]))
    watch = Statement("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'active'")
    await until(conn, watch, b"1")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not victim.is_usable
    await until(conn, watch, b"0")
    with pytest.raises(PgrestError):
        await victim.run([Statement("SELECT 1")])


async def test_copy_is_refused_and_the_connection_dropped(conn: DbConnection) -> None:
    with pytest.raises((DatabaseError, PgrestError)):
        await conn.run([Statement("COPY items TO STDOUT")])
    assert not conn.is_usable


async def test_the_pool_waits_so_long_and_no_longer(pool: Pool) -> None:
    async with pool.acquire(), pool.acquire():
        with pytest.raises(PgrestError) as raised:
            async with pool.acquire():
                pass
    assert (raised.value.status, raised.value.code) == (504, "PGRST003")


async def test_the_pool_rolls_back_what_was_left_open(pool: Pool) -> None:
    async with pool.acquire() as conn:
        await conn.run([Statement("BEGIN"), Statement("DELETE FROM items")])
    async with pool.acquire() as again:
        assert again is conn
        assert again.transaction_status == TransactionStatus.IDLE
        [rows] = await again.run([Statement("SELECT count(*) FROM items")])
    assert rows.rows == [(b"3",)]


async def test_the_pool_replaces_connections_that_the_server_ended(pool: Pool, conn: DbConnection) -> None:
    async with pool.acquire() as first:
        [rows] = await first.run([Statement("SELECT pg_backend_pid()")])
    await conn.run([Statement("SELECT pg_terminate_backend($1::int, 5000)", (rows.rows[0][0],))])
    async with asyncio.timeout(5):
        await first.wait_closed()
    async with pool.acquire() as second:
        assert second is not first
        await second.run([Statement("SELECT 1")])


async def test_no_server_is_a_503() -> None:
    pool = Pool("postgresql://nobody@127.0.0.1:1/none", connect_seconds=1)
    with pytest.raises(PgrestError) as raised:
        async with pool.acquire():
            pass
    assert (raised.value.status, raised.value.code) == (503, "PGRST000")


async def test_many_tasks_share_few_connections(pool: Pool) -> None:
    async def ask(number: int) -> bytes | None:
        async with pool.acquire() as conn:
            [rows] = await conn.run([Statement("SELECT $1::int * 2", (str(number).encode(),))])
            return rows.rows[0][0]

    assert await asyncio.gather(*(ask(n) for n in range(100))) == [str(n * 2).encode() for n in range(100)]
