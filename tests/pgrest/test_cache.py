"""The cached snapshot: shared, soon up to date, and no burden to the database or to those who wait."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgrest import DbConnection, Loaded, PgrestError, Pool, Schema, SchemaCache, Statement
from pgrest.errors import table_not_found
from pgrest.schema import cache as cache_module
from pgrest.schema import refresher
from pgrest.schema.listener import keep_listening
from pgrest.wire.places import NO_LIMITS, Terms
from pgrest.wire.pool import Lease
from tests.fakes.hostile_postgres import run_hostile_postgres
from tests.fixtures.pgbouncer import run_pgbouncer
from tests.fixtures.waiting import wait_until

UNKNOWN = table_not_found("public", "nothing", None)
LOCK_DEPENDENCIES = Statement("LOCK TABLE pg_catalog.pg_depend IN ACCESS EXCLUSIVE MODE")


class CountingPool(Pool):
    leases = 0

    def acquire(self, terms: Terms = NO_LIMITS, holder: Hashable = None) -> Lease:
        self.leases += 1
        return super().acquire(terms, holder)


@pytest.fixture
async def counting_pool(shop: str) -> AsyncIterator[CountingPool]:
    made = CountingPool(shop, max_size=4, wait_seconds=5)
    yield made
    await made.close()


@pytest.fixture
async def loads() -> list[Loaded]:
    return []


@pytest.fixture
async def cache(counting_pool: CountingPool, loads: list[Loaded]) -> AsyncIterator[SchemaCache]:
    made = SchemaCache(counting_pool, ["public"], on_load=loads.append)
    yield made
    await made.close()


@pytest.fixture
async def other(shop: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as connection:
        yield connection


async def run(other: psycopg.AsyncConnection[Any], statement: str) -> list[Any]:
    return await (await other.execute(statement.encode())).fetchall()


async def wait_for_column(cache: SchemaCache, table: str, column: str) -> Schema:
    return await wait_until(
        cache.get,
        f"the column {column}",
        matches=lambda schema: column in schema.tables["public", table].columns,
        seconds=2,
    )


async def test_everybody_shares_the_first_load(cache: SchemaCache, loads: list[Loaded]) -> None:
    first, *others = await asyncio.gather(*(cache.get() for _ in range(20)))
    assert all(one is first for one in others)
    assert len(loads) == 1
    assert loads[0].relations_read == len(first.tables)


async def test_a_change_shows_soon_without_anybody_asking_for_it(
    cache: SchemaCache, loads: list[Loaded], other: psycopg.AsyncConnection[Any]
) -> None:
    await cache.get()
    await other.execute("ALTER TABLE notes ADD COLUMN more int")
    async with asyncio.timeout(10):
        schema = await wait_for_column(cache, "notes", "more")
    assert loads[1].relations_read == 1
    assert await cache.get() is schema


async def test_the_first_request_after_a_rest_makes_sure(
    cache: SchemaCache, loads: list[Loaded], other: psycopg.AsyncConnection[Any]
) -> None:
    await cache.get()
    cache._used_at -= 100
    await other.execute("ALTER TABLE notes ADD COLUMN meanwhile int")
    answers = await asyncio.gather(*(cache.get() for _ in range(10)))
    assert all("meanwhile" in schema.tables["public", "notes"].columns for schema in answers)
    assert len(loads) == 2


async def test_what_is_named_and_unknown_is_looked_for_at_once(
    cache: SchemaCache, other: psycopg.AsyncConnection[Any]
) -> None:
    for number in range(5):
        seen = await cache.get()
        await other.execute(f"CREATE TABLE fresh_{number} (id int)".encode())
        assert await cache.is_changed(seen, UNKNOWN)
        assert ("public", f"fresh_{number}") in (await cache.get()).tables


async def test_naming_what_does_not_exist_is_cheap(
    cache: SchemaCache, counting_pool: CountingPool, loads: list[Loaded]
) -> None:
    seen = await cache.get()
    counting_pool.leases = 0
    since = asyncio.get_running_loop().time()
    for _ in range(5):
        answers = await asyncio.gather(*(cache.is_changed(seen, UNKNOWN) for _ in range(200)))
        assert not any(answers)
    passed = asyncio.get_running_loop().time() - since
    assert counting_pool.leases <= 10 + 2 * passed  # two a round at most, and those that come by themselves
    assert len(loads) == 1


async def test_a_server_that_has_gone_silent_does_not_hold_up_who_asks(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresher, "_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(cache_module, "_LONGEST_WAIT_SECONDS", 1.0)
    port = int(shop.partition("@")[2].partition(":")[2].partition("/")[0])
    async with run_hostile_postgres("silent", port) as hostile, AsyncExitStack() as stack:
        pool = Pool(shop.replace(f":{port}/", f":{hostile.port}/"))
        stack.push_async_callback(pool.close)
        cache = SchemaCache(pool, ["public"])
        stack.push_async_callback(cache.close)
        seen = await cache.get()
        await hostile.turn()
        with pytest.raises(PgrestError) as caught:
            await cache.reload()
        assert caught.value.details == "The database does not answer"
        async with asyncio.timeout(5):  # a new connection would wait for its start for ten
            assert not await cache.is_changed(seen, UNKNOWN)
            assert await cache.get() is seen


async def test_errors_that_a_fresh_snapshot_cannot_mend_ask_nothing(
    cache: SchemaCache, counting_pool: CountingPool
) -> None:
    seen = await cache.get()
    counting_pool.leases = 0
    assert not await cache.is_changed(seen, PgrestError(409, "23505", "duplicate"))
    assert counting_pool.leases == 0


async def test_writes_do_not_make_the_snapshot_new(
    cache: SchemaCache, loads: list[Loaded], other: psycopg.AsyncConnection[Any]
) -> None:
    seen = await cache.get()
    for statement in ("UPDATE customers SET name = 'x'", "ANALYZE", "CREATE TEMP TABLE passing (id int PRIMARY KEY)"):
        await other.execute(statement.encode())
        assert await cache.reload() is seen
    assert len(loads) == 1


async def test_a_snapshot_survives_its_database(
    shop: str, cache: SchemaCache, other: psycopg.AsyncConnection[Any]
) -> None:
    seen = await cache.get()
    name = other.info.dbname
    async with await psycopg.AsyncConnection.connect(shop.replace(f"/{name}", "/postgres"), autocommit=True) as admin:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        assert await cache.get() is seen
        assert not await cache.is_changed(seen, UNKNOWN)
        with pytest.raises(PgrestError) as refused:
            await cache.reload()
        assert refused.value.status == 503
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as again:
        await again.execute("ALTER TABLE notes ADD COLUMN late int")
    await wait_for_column(cache, "notes", "late")


async def test_a_load_that_fails_on_the_way_keeps_the_old_one(
    cache: SchemaCache, conn: DbConnection, other: psycopg.AsyncConnection[Any]
) -> None:
    seen = await cache.get()
    await other.execute("ALTER TABLE orders ADD COLUMN halfway int")
    await conn.run([Statement("BEGIN"), LOCK_DEPENDENCIES])
    reloading = asyncio.create_task(cache.reload())
    kill = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND relation = 'pg_depend'::regclass"
    await wait_until(lambda: run(other, kill), "the reload to wait for the lock")
    with pytest.raises(PgrestError):
        await reloading
    assert await cache.get() is seen
    await conn.run([Statement("ROLLBACK")])
    assert "halfway" in (await cache.reload()).tables["public", "orders"].columns


async def test_a_failed_first_load_reaches_every_waiter_and_is_tried_again(shop: str) -> None:
    addresses = ["postgresql://127.0.0.1:1/nowhere"]

    async def address() -> str:
        return addresses[-1]

    pool = Pool(address)
    cache = SchemaCache(pool, ["public"])
    answers = await asyncio.gather(*(cache.get() for _ in range(5)), return_exceptions=True)
    assert {getattr(answer, "status", None) for answer in answers} == {503}
    addresses.append(shop)
    assert ("public", "orders") in (await cache.get()).tables
    await cache.close()
    await pool.close()


async def test_who_gives_up_waiting_takes_nothing_from_the_others(cache: SchemaCache) -> None:
    impatient = asyncio.create_task(cache.get())
    patient = asyncio.create_task(cache.get())
    await asyncio.sleep(0)
    impatient.cancel()
    assert ("public", "orders") in (await patient).tables


async def test_notifications_are_heard(
    shop: str, counting_pool: CountingPool, other: psycopg.AsyncConnection[Any]
) -> None:
    """Nothing else would ask within the test's time."""
    cache = SchemaCache(counting_pool, ["public"], check_seconds=60)
    await cache.get()
    cache.listen(shop)
    listening = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'basewarden-listen' AND query = 'LISTEN pgrst'"
    await wait_until(lambda: run(other, listening), "the cache to listen")
    await other.execute("ALTER TABLE notes ADD COLUMN heard int")
    await other.execute("NOTIFY pgrst, 'reload schema'")
    await wait_for_column(cache, "notes", "heard")
    await cache.close()


async def test_a_pooler_is_not_listened_to(shop: str, data_dir: Path) -> None:
    """It would take LISTEN, and lose what comes."""
    async with run_pgbouncer(shop, data_dir.parent, "transaction") as pooled, asyncio.timeout(5):
        await keep_listening(pooled, lambda: None)
        cache = SchemaCache(pool := Pool(pooled, prepare=False), ["public"])
        assert ("public", "orders") in (await cache.get()).tables
        await cache.close()
        await pool.close()


async def test_a_loaded_connection_is_left_as_it_was(conn: DbConnection, shop: str) -> None:
    pool = Pool(shop, max_size=1, prepare=False)
    cache = SchemaCache(pool, ["public"])
    await cache.get()
    async with pool.acquire() as same:
        [held, path, jit] = await same.run(
            [
                Statement("SELECT count(*) FROM pg_prepared_statements"),
                Statement("SHOW search_path"),
                Statement("SHOW lock_timeout"),
            ]
        )
    assert (held.rows, path.rows, jit.rows) == ([(b"0",)], [(b'"$user", public',)], [(b"0",)])
    await cache.close()
    await pool.close()


async def test_closing_the_cache_fails_its_waiters(cache: SchemaCache, conn: DbConnection) -> None:
    await conn.run([Statement("BEGIN"), LOCK_DEPENDENCIES])
    waiting = asyncio.create_task(cache.get())
    await asyncio.sleep(0)
    await cache.close()
    with pytest.raises(PgrestError) as raised:
        await waiting
    assert raised.value.status == 503
    with pytest.raises(PgrestError):
        await cache.get()


async def test_it_closes_in_the_middle_of_its_own_check(counting_pool: CountingPool) -> None:
    """The watcher and the check that it waits for are cancelled together: neither may take that for the other's end."""
    for _ in range(10):  # which of them hears of it first is chance
        cache = SchemaCache(counting_pool, ["public"], check_seconds=0.01)
        await cache.get()
        async with AsyncExitStack() as held, asyncio.timeout(5):
            for _ in range(4):
                await held.enter_async_context(counting_pool.acquire())
            await wait_until(
                lambda: counting_pool.figures.waiting,
                "the check to wait for a connection",
                matches=lambda found: found != 0,
            )
            await cache.close()


async def test_an_unexpected_error_is_not_suppressed(shop: str) -> None:
    async def address() -> str:
        raise ZeroDivisionError

    unexpected: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, facts: unexpected.append(facts))
    pool = Pool(address)
    cache = SchemaCache(pool, ["public"])
    with pytest.raises(ZeroDivisionError):
        await cache.get()
    asyncio.get_running_loop().set_exception_handler(None)
    await cache.close()
    await pool.close()
    assert [type(facts["exception"]) for facts in unexpected] == [ZeroDivisionError]
