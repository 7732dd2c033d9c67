"""Several callers on the same rows at once, on real connections, in orders that the test decides."""

import asyncio
from typing import Any

import psycopg
import pytest

from tests.fixtures.bench import Bench, Workshop, wait_for_lock

_COUNTERS = """
    CREATE TABLE counters (id int PRIMARY KEY, slug text UNIQUE, n int);
    INSERT INTO counters SELECT k, 's' || k, 0 FROM generate_series(1, 4) k;
"""


async def _connect(bench: Bench) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(bench.dsn)


async def test_the_journals_order_is_the_rows_order(workshop: Workshop) -> None:
    """Each write's image before is the image after of the one that had the row before it."""
    bench = await workshop.bench(_COUNTERS)
    agents = [await bench.agent(name=name) for name in ("one", "two", "three")]
    results = await asyncio.gather(
        *(
            agent.http.patch("/counters?id=eq.1", json={"n": 100 * who + turn}, headers={"prefer": "return=minimal"})
            for turn in range(12)
            for who, agent in enumerate(agents, 1)
        )
    )
    assert {answer.status_code for answer in results} == {204}
    changes = [
        one
        for session in {answer.headers["x-basewarden-session"] for answer in results}
        for one in (await bench.journal(session))["mutations"]
    ]
    assert len(changes) == 36
    in_order = sorted(changes, key=lambda one: int(one["id"]))
    values = [0, *(one["after"]["n"] for one in in_order)]
    assert [one["before"]["n"] for one in in_order] == values[:-1]
    assert await bench.rows("SELECT n FROM counters WHERE id = 1") == [{"n": values[-1]}]


async def test_an_update_waits_and_records_what_it_found(workshop: Workshop) -> None:
    bench = await workshop.bench(_COUNTERS)
    agent = await bench.agent()
    async with await _connect(bench) as other:
        await other.execute("UPDATE counters SET n = 7 WHERE id = 1")
        waiting = asyncio.create_task(agent.write("PATCH", "/counters?id=eq.1", {"slug": "mine"}))
        await wait_for_lock(bench)
        await other.commit()
    (change,) = (await waiting).changes
    assert (change["before"]["n"], change["after"]) == (7, {"id": 1, "slug": "mine", "n": 7})


async def test_a_row_that_no_longer_fits_the_filter_is_left_alone(workshop: Workshop) -> None:
    bench = await workshop.bench(_COUNTERS)
    agent = await bench.agent()
    async with await _connect(bench) as other:
        await other.execute("UPDATE counters SET n = 7 WHERE id = 1")
        waiting = asyncio.create_task(agent.write("DELETE", "/counters?n=eq.0"))
        await wait_for_lock(bench)
        await other.commit()
    assert sorted(one["before"]["id"] for one in (await waiting).changes) == [2, 3, 4]
    assert await bench.rows("SELECT id FROM counters") == [{"id": 1}]


async def test_a_key_that_changes_while_an_update_waits_for_the_row(workshop: Workshop) -> None:
    bench = await workshop.bench(_COUNTERS)
    agent = await bench.agent()
    async with await _connect(bench) as other:
        await other.execute("UPDATE counters SET id = 90 WHERE id = 3")
        waiting = asyncio.create_task(agent.write("PATCH", "/counters?n=eq.0", {"n": 5}, prefer="return=minimal"))
        await wait_for_lock(bench)
        await other.commit()
    assert sorted((one["before"]["id"], one["after"]["n"]) for one in (await waiting).changes) == [
        (1, 5), (2, 5), (4, 5), (90, 5),
    ]  # fmt: skip
    assert await bench.rows("SELECT 1 FROM counters WHERE n <> 5") == []


async def test_the_only_row_of_an_update_gets_another_key_meanwhile(workshop: Workshop) -> None:
    bench = await workshop.bench(_COUNTERS)
    agent = await bench.agent()
    async with await _connect(bench) as other:
        await other.execute("UPDATE counters SET id = 90 WHERE id = 3")
        waiting = asyncio.create_task(agent.write("PATCH", "/counters?slug=eq.s3", {"n": 5}))
        await wait_for_lock(bench)
        await other.commit()
    assert [(one["before"]["id"], one["after"]["n"]) for one in (await waiting).changes] == [(90, 5)]


@pytest.mark.parametrize("most", [4, 10])
async def test_a_limited_delete_whose_rows_get_other_keys_or_go_meanwhile(workshop: Workshop, most: int) -> None:
    bench = await workshop.bench(_COUNTERS)
    agent = await bench.agent(maxRowsPerWrite=most)
    async with await _connect(bench) as other:
        await other.execute("DELETE FROM counters WHERE id = 1; UPDATE counters SET id = 90 WHERE id = 3")
        waiting = asyncio.create_task(agent.http.delete("/counters?n=eq.0"))
        await wait_for_lock(bench)
        await other.commit()
    answer = await waiting
    assert answer.status_code == 204, answer.text
    journal = await bench.journal(answer.headers["x-basewarden-session"])
    assert sorted(one["before"]["id"] for one in journal["mutations"]) == [2, 4, 90]
    assert await bench.rows("SELECT id FROM counters") == []


async def test_an_upsert_that_loses_the_race_records_an_update(workshop: Workshop) -> None:
    """The row was not there to be locked; when the insert gets to it, it is."""
    bench = await workshop.bench(_COUNTERS)
    agent = await bench.agent()
    async with await _connect(bench) as other:
        await other.execute("INSERT INTO counters VALUES (50, 'theirs', 1)")
        waiting = asyncio.create_task(
            agent.write(
                "POST", "/counters", [{"id": 50, "n": 2}, {"id": 51, "n": 3}], prefer="resolution=merge-duplicates"
            )
        )
        await wait_for_lock(bench)
        await other.commit()
    assert (await waiting).row_changes() == [
        ("counters", "update", {"id": 50, "slug": "theirs", "n": 1}, {"id": 50, "slug": "theirs", "n": 2}),
        ("counters", "insert", None, {"id": 51, "slug": None, "n": 3}),
    ]


async def test_children_that_arrive_during_a_delete_are_not_missed(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1);
        CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE);
    """)
    agent = await bench.agent()
    async with await _connect(bench) as other:
        await other.execute("INSERT INTO b VALUES (5, 1)")
        waiting = asyncio.create_task(agent.write("DELETE", "/a?id=eq.1"))
        await wait_for_lock(bench)
        await other.commit()
    assert [(table, verb) for table, verb, *_ in (await waiting).row_changes()] == [("a", "delete"), ("b", "delete")]


async def test_what_loses_a_deadlock_is_done_again_and_leaves_no_trace_of_the_first_try(workshop: Workshop) -> None:
    bench = await workshop.bench(_COUNTERS)
    agent = await bench.agent()
    async with await _connect(bench) as other:
        await other.execute("UPDATE counters SET n = 1 WHERE id = 2")
        waiting = asyncio.create_task(agent.http.patch("/counters?id=in.(1,2)", json={"n": 9}))
        await wait_for_lock(bench)
        try:
            await other.execute("UPDATE counters SET n = 1 WHERE id = 1")
        except psycopg.errors.DeadlockDetected:
            await other.rollback()
        else:
            await other.commit()
    answer = await waiting
    assert answer.is_success, answer.text
    assert [session["mutationCount"] for session in await bench.sessions()] == [2]
    assert await bench.rows("SELECT n FROM counters ORDER BY id LIMIT 2") == [{"n": 9}, {"n": 9}]


async def test_two_connections_of_agents_with_one_label_do_not_share_a_position(workshop: Workshop) -> None:
    bench = await workshop.bench(_COUNTERS)
    agent = await bench.agent()
    answers = await asyncio.gather(
        *(
            agent.http.post("/counters", json={"id": n}, headers={"x-basewarden-session": "crowd"})
            for n in range(100, 140)
        )
    )
    assert {answer.status_code for answer in answers} == {201}
    (session,) = {answer.headers["x-basewarden-session"] for answer in answers}
    changes = (await bench.journal(session))["mutations"]
    assert [one["position"] for one in changes] == list(range(1, 41))
    assert {one["after"]["id"] for one in changes} == set(range(100, 140))
