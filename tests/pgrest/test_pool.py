"""How old a connection may become, and what a pool tells of itself."""

import asyncio

import pytest

from pgrest import DbConnection, PgrestError, Pool, Statement, Terms
from pgrest.wire.places import Places

PID = Statement("SELECT pg_backend_pid()")


async def pid_of(pool: Pool) -> bytes | None:
    async with pool.acquire() as conn:
        [rows] = await conn.run([PID])
    return rows.rows[0][0]


async def test_a_connection_that_is_too_old_is_not_lent_again(shop: str) -> None:
    pool = Pool(shop, max_size=1, lifetime_seconds=0.5)
    first = await pid_of(pool)
    assert await pid_of(pool) == first
    await asyncio.sleep(0.55)
    assert await pid_of(pool) != first
    async with pool.acquire() as conn:  # it grows old while it is out
        await asyncio.sleep(0.55)
    assert not conn.is_usable
    assert pool.figures.open == 0
    await pool.close()


async def test_old_and_idle_connections_are_closed_on_their_own(shop: str) -> None:
    for lifetime, idle in ((0.05, 60), (60, 0.05)):
        pool = Pool(shop, max_size=1, lifetime_seconds=lifetime, idle_seconds=idle)
        async with pool.acquire() as conn:
            pass
        async with asyncio.timeout(5):
            await conn.wait_closed()
        assert pool.figures.open == 0
        await pool.close()


async def test_after_a_flush_only_new_connections_are_lent(shop: str) -> None:
    pool = Pool(shop, max_size=2)
    idle = await pid_of(pool)
    async with pool.acquire() as out:
        await asyncio.sleep(0.002)  # the loop's clock has milliseconds
        await pool.flush(prepare=False)
        assert (await out.run([PID]))[0].rows != []
    assert not out.is_usable
    assert await pid_of(pool) != idle
    async with pool.acquire() as fresh:
        await fresh.run([Statement("SELECT 41 + 1")])
        [held] = await fresh.run([Statement("SELECT count(*) FROM pg_prepared_statements")])
    assert held.rows == [(b"0",)]
    await pool.close()


async def test_a_pool_counts_what_it_lends_and_who_waits(shop: str) -> None:
    pool = Pool(shop, max_size=1, wait_seconds=1)
    assert (pool.figures.open, pool.figures.in_use, pool.figures.waiting, pool.figures.timeouts) == (0, 0, 0, 0)
    async with pool.acquire():
        waiting = asyncio.create_task(pid_of(pool))
        await asyncio.sleep(0.01)
        assert (pool.figures.open, pool.figures.in_use, pool.figures.waiting) == (1, 1, 1)
        with pytest.raises(PgrestError):
            await waiting
    assert (pool.figures.open, pool.figures.in_use, pool.figures.waiting, pool.figures.timeouts) == (1, 0, 0, 1)
    await pool.close()
    assert pool.figures.open == 0


async def test_a_cancelled_wait_leaves_no_trace(shop: str) -> None:
    pool = Pool(shop, max_size=1)
    async with pool.acquire():
        waiting = asyncio.create_task(pid_of(pool))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert pool.figures.waiting == 0
    assert await pid_of(pool) is not None
    await pool.close()


async def test_what_comes_back_to_a_closed_pool_is_closed(shop: str) -> None:
    pool = Pool(shop, max_size=1)
    async with pool.acquire() as conn:
        await pool.close()
        assert isinstance(conn, DbConnection)
        assert conn.is_usable
    assert not conn.is_usable


ONE_EACH, KEEPING_ONE_FREE = Terms(most_at_once=1), Terms(leaves_free=1)


async def test_a_holder_waits_for_its_own_share_while_others_go_on() -> None:
    places = Places(3, wait_seconds=0.1)
    await places.take(ONE_EACH, "a")
    second = asyncio.create_task(places.take(ONE_EACH, "a"))
    await asyncio.sleep(0)
    await places.take(ONE_EACH, "b")
    assert not second.done()
    places.leave("a")
    await second
    with pytest.raises(PgrestError) as raised:
        await places.take(ONE_EACH, "a")
    assert (raised.value.status, raised.value.code) == (429, "too_many_running")
    assert places.timeouts == 1


async def test_some_places_stay_free_for_others() -> None:
    places = Places(2, wait_seconds=0.05)
    await places.take(KEEPING_ONE_FREE, "a")
    with pytest.raises(PgrestError) as raised:
        await places.take(KEEPING_ONE_FREE, "b")
    assert (raised.value.status, raised.value.code) == (504, "PGRST003")
    await places.take(Terms(), None)


async def test_who_came_first_is_served_first() -> None:
    places, order = Places(1, wait_seconds=5), []

    async def use(name: str) -> None:
        await places.take(Terms(), name)
        order.append(name)
        await asyncio.sleep(0)
        places.leave(name)

    await places.take(Terms(), "first")
    tasks = [asyncio.create_task(use(name)) for name in "abc"]
    await asyncio.sleep(0)
    cancelled = asyncio.create_task(places.take(Terms(), "gone"))
    await asyncio.sleep(0)
    cancelled.cancel()
    places.leave("first")
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]
    assert places.waiting == 0


async def test_a_place_given_to_a_cancelled_waiter_is_not_lost() -> None:
    places = Places(1, wait_seconds=5)
    await places.take(Terms(), "a")
    waiting = asyncio.create_task(places.take(ONE_EACH, "b"))
    await asyncio.sleep(0)
    places.leave("a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(10):
        await places.take(ONE_EACH, "b")
