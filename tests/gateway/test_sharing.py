"""How callers share a project's connections, its time and our memory."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx

from tests.fakes.hostile_postgres import run_hostile_postgres
from tests.fixtures.app import read_refusal
from tests.fixtures.bench import GUEST, Bench, BenchAgent, OwnWorkshop, Workshop
from tests.fixtures.waiting import wait_until

_SLOW = f"""
    CREATE TABLE notes (id int PRIMARY KEY, body text);
    INSERT INTO notes SELECT n, repeat('x', 1000) FROM generate_series(1, 5000) n;
    CREATE FUNCTION slow(s float) RETURNS int LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(s); RETURN (SELECT count(*) FROM notes); END';
    GRANT SELECT ON notes TO {GUEST};
"""
_MEGABYTE = 1_000_000
_ALL = "/notes?select=id,body"


async def keep_busy(
    bench: Bench, agent: BenchAgent, requests: int, running: int
) -> "list[asyncio.Task[httpx.Response]]":
    """So many slow requests, once `running` of them have a connection."""
    tasks = [asyncio.create_task(agent.http.get("/rpc/slow?s=60")) for _ in range(requests)]
    query = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%slow%' AND wait_event = 'PgSleep'"
    await wait_until(
        lambda: bench.rows(query),
        "the slow requests to run",
        matches=lambda found: found[0]["n"] >= running,
        seconds=20,
    )
    return tasks


async def stop(tasks: "list[asyncio.Task[httpx.Response]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_caller_reads_with_its_share_of_the_connections_at_most(workshop: Workshop) -> None:
    bench = await workshop.bench(_SLOW)
    greedy, other = await bench.agent(), await bench.agent()
    tasks = await keep_busy(bench, greedy, 16, 8)
    assert (await other.http.get("/notes?id=eq.1&select=id")).json() == [{"id": 1}]
    assert (await bench.person.get(f"/c/{bench.connection_id}/data/public.notes")).status_code == 200
    refused = await greedy.http.get("/notes?id=eq.1")
    assert read_refusal(refused) == (429, "too_many_running")
    assert refused.headers["retry-after"] == "1"
    await stop(tasks)


async def test_agents_together_leave_places_for_people_and_undo(workshop: Workshop) -> None:
    bench = await workshop.bench(_SLOW)
    writer = await bench.agent()
    written = await writer.write("PATCH", "/notes?id=eq.1", {"body": "y"})
    tasks = []
    for running in (8, 16, 17):
        tasks += await keep_busy(bench, await bench.agent(), 8, running)
    assert (await bench.person.get(f"/c/{bench.connection_id}/data/public.notes")).status_code == 200
    undone = await bench.person.post(
        f"/api/connections/{bench.connection_id}/sessions/{written.session_id}/undo",
        json={"mode": "apply", "onConflict": "refuse"},
    )
    assert undone.status_code == 200, undone.text
    await stop(tasks)


async def test_an_agent_has_less_time_than_a_person(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open({"agent_query_seconds": 0.3, "member_query_seconds": 20.0})
    bench = await workshop.bench(_SLOW)
    agent = await bench.agent()
    for answer in (await agent.http.get("/rpc/slow?s=30"), await agent.http.post("/rpc/slow", json={"s": 30})):
        assert read_refusal(answer) == (504, "query_timeout")
        assert answer.json()["details"] == {"seconds": 0.3}
    by_person = await bench.person.get(f"/api/v/{bench.connection_id}/rest/v1/rpc/slow?s=0.6")
    assert by_person.json() == 5000
    assert (await agent.http.get("/notes?id=eq.1&select=id")).json() == [{"id": 1}]
    assert await bench.sessions() == []


async def test_a_shorter_timeout_of_role_or_database_counts(workshop: Workshop) -> None:
    """It is PostgreSQL's own refusal then."""
    bench = await workshop.bench(_SLOW, settings={"statement_timeout": "200ms"})
    assert read_refusal(await (await bench.agent()).http.get("/rpc/slow?s=30")) == (500, "57014")
    limited = await workshop.bench(_SLOW)
    await limited.run(f"ALTER ROLE {GUEST} SET statement_timeout = '150ms'")
    try:
        as_guest = await limited.agent(dbRole=GUEST)
        assert read_refusal(await as_guest.http.get("/rpc/slow?s=30")) == (500, "57014")
    finally:
        await limited.run(f"ALTER ROLE {GUEST} RESET statement_timeout")


async def test_too_large_an_answer_is_refused_and_nothing_is_kept(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open({"max_answer_mb": 2})
    bench = await workshop.bench(_SLOW)
    agent = await bench.agent()
    answer = await agent.http.get(_ALL)
    assert read_refusal(answer) == (413, "answer_too_large")
    assert "limit" in answer.json()["hint"]
    assert len((await agent.http.get(f"{_ALL}&limit=1000")).json()) == 1000
    headers = {"prefer": "return=representation"}
    written = await agent.http.patch("/notes?id=gt.0", json={"body": "y" * 1000}, headers=headers)
    assert read_refusal(written) == (413, "write_too_large")
    assert await bench.rows("SELECT 1 FROM notes WHERE body LIKE 'y%'") == []
    assert await bench.sessions() == []


async def test_a_large_answer_arrives_whole(workshop: Workshop) -> None:
    bench = await workshop.bench(_SLOW)
    rows = (await (await bench.agent()).http.get(f"{_ALL}&order=id")).json()
    assert [row["id"] for row in rows] == list(range(1, 5001))
    assert {row["body"] for row in rows} == {"x" * 1000}


async def test_what_clients_take_slowly_keeps_others_from_large_answers(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open({"answer_memory_mb": 14})
    bench = await workshop.bench(_SLOW)
    agent, other = await bench.agent(), await bench.agent()
    async with agent.http.stream("GET", f"{_ALL}&id=lte.4900") as slow, agent.http.stream("GET", _ALL) as slower:
        assert (slow.status_code, slower.status_code) == (200, 200)
        answer = await other.http.get(_ALL)
        assert read_refusal(answer) == (503, "memory_busy")
        assert answer.headers["retry-after"] == "1"
        assert len((await other.http.get(f"{_ALL}&limit=500")).json()) == 500
    await wait_until(
        lambda: other.http.get(_ALL), "a free place", matches=lambda found: found.status_code == 200, seconds=10
    )


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_a_database_that_turns_hostile_costs_one_request(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open({"max_answer_mb": 8})
    bench = await workshop.bench(_SLOW)
    port = int(bench.dsn.partition("@")[2].partition(":")[2].partition("/")[0])
    async with run_hostile_postgres("endless_rows", port) as hostile:
        behind = await workshop.connect({"postgresUrl": bench.dsn.replace(f":{port}/", f":{hostile.port}/")})
        agent = await behind.agent()
        assert (await agent.http.get("/notes?id=eq.1&select=id")).json() == [{"id": 1}]
        await hostile.turn()
        before = resident_bytes()
        answers = await asyncio.gather(*(agent.http.get("/notes?id=eq.1") for _ in range(4)))
        assert resident_bytes() - before < 100 * _MEGABYTE
        assert {answer.status_code for answer in answers} <= {413, 503, 504}
        healthy: Any = await (await bench.agent()).http.get("/notes?id=eq.2&select=id")
        assert healthy.json() == [{"id": 2}]


async def test_a_write_whose_rows_are_too_large_to_record_changes_nothing(own_workshop: OwnWorkshop) -> None:
    """Whatever is answered: the rows before and after count, and those that a foreign key takes along."""
    workshop = await own_workshop.open({"max_answer_mb": 2})
    bench = await workshop.bench("""
        CREATE TABLE parent (id int PRIMARY KEY, n int, body text);
        CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent ON DELETE CASCADE, body text);
        INSERT INTO parent SELECT g, 0, repeat('x', 300000) FROM generate_series(1, 9) AS g;
        INSERT INTO parent VALUES (10, 0, 'small');
        INSERT INTO child SELECT g, 10, repeat('y', 300000) FROM generate_series(1, 9) AS g;
    """)
    agent = await bench.agent()
    headers = {"prefer": "return=minimal"}
    for method, path, body in (
        ("PATCH", "/parent?id=lt.10", {"n": 1}),
        ("DELETE", "/parent?id=lt.10", None),
        ("DELETE", "/parent?id=eq.10", None),
    ):
        refused = await agent.http.request(method, path, json=body, headers=headers)
        assert read_refusal(refused) == (413, "write_too_large"), (method, path)
    assert await bench.rows("SELECT count(*) AS p, sum(n) AS n, (SELECT count(*) FROM child) AS c FROM parent") == [
        {"p": 10, "n": 0, "c": 9}
    ]
    assert (await agent.http.patch("/parent?id=eq.1", json={"n": 1}, headers=headers)).status_code == 204
