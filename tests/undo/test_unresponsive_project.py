"""A project's database that never responds does not affect other connections."""

import asyncio

from basewarden.db import Database
from tests.fixtures.bench import Workshop
from tests.fixtures.waiting import wait_until
from tests.undo.test_service import request_undo

_AT_ONCE = 6


async def test_undos_that_wait_hold_no_connection_of_ours(workshop: Workshop) -> None:
    bench = await workshop.bench(
        f"CREATE TABLE t (id int PRIMARY KEY, n int);\nINSERT INTO t SELECT n, 0 FROM generate_series(1, {_AT_ONCE}) n"
    )
    agent = await bench.agent()
    sessions = [
        (await agent.write("PATCH", f"/t?id=eq.{n}", {"n": 1}, headers={"x-basewarden-session": str(n)})).session_id
        for n in range(1, _AT_ONCE + 1)
    ]
    await bench.run("""
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END$$;
        CREATE TRIGGER wait BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION wait();
    """)
    await bench.run("SELECT pg_advisory_lock(7)")
    undoing = [asyncio.create_task(request_undo(bench, session)) for session in sessions]
    waiting = "SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 7"
    await wait_until(
        lambda: bench.rows(waiting),
        "the undos to wait for the lock",
        matches=lambda found: found[0]["n"] >= _AT_ONCE,
        seconds=30,
    )
    pool = bench.product.registry.get(Database).engine.pool
    await wait_until(
        lambda: pool.checkedout() == 0,  # type: ignore[attr-defined]  # one is a job's, for a moment
        "the pool's connections to be back",
    )
    again = await request_undo(bench, sessions[0])
    assert (again.status_code, again.json()["code"]) == (409, "undo_running")
    await bench.run("SELECT pg_advisory_unlock(7)")
    assert [(await answer).json()["reverted"] for answer in undoing] == [1] * _AT_ONCE


async def test_a_lock_is_free_again_for_every_process(workshop: Workshop) -> None:
    bench = await workshop.bench("SELECT")
    ours = bench.product.registry.get(Database)
    theirs = Database(ours.url)
    try:
        async with ours.locks.try_hold("one") as first, theirs.locks.try_hold("one") as second:
            assert (first, second) == (True, False)
            async with ours.locks.try_hold("one") as again, theirs.locks.try_hold("other") as other:
                assert (again, other) == (False, True)
        async with theirs.locks.try_hold("one") as later:
            assert later
    finally:
        await theirs.close()
