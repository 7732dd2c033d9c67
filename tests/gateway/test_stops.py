"""Agents that are paused or frozen: what they are answered, and how what they are doing ends in every process."""

import asyncio
from typing import Any

import httpx
import pytest

from basewarden.db import Database
from tests.fixtures.app import Serve, read_refusal
from tests.fixtures.bench import Backend, Bench, BenchAgent, OwnWorkshop, Workshop, on_both_backends
from tests.fixtures.waiting import wait_until

_SLOW = """
    CREATE TABLE notes (id int PRIMARY KEY, body text);
    INSERT INTO notes VALUES (1, 'one');
    CREATE FUNCTION slow(s float) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM pg_sleep(s); RETURN 1; END';
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.body = ''slow'' THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END';
    CREATE TRIGGER wait BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION wait();
"""
_SLEEPING = """
    SELECT count(*) AS n FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep' AND state = 'active'
"""
Answers = list["asyncio.Task[httpx.Response]"]


async def wait_for_sleepers(bench: Bench, count: int) -> None:
    await wait_until(
        lambda: bench.rows(_SLEEPING), f"{count} slow statements", matches=lambda found: found[0]["n"] == count
    )


def read_slowly(agent: BenchAgent) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(agent.http.get("/rpc/slow?s=60"))


def write_slowly(agent: BenchAgent, number: int = 7, name: str = "") -> "asyncio.Task[httpx.Response]":
    headers = {"x-basewarden-session": name} if name else {}
    return asyncio.create_task(agent.http.post("/notes", json={"id": number, "body": "slow"}, headers=headers))


async def press(bench: Bench, path: str, **options: Any) -> dict[str, Any]:
    method, body = options.pop("method", "POST"), options.pop("json", {"reason": "looking into it"})
    answer = await bench.person.request(method, f"/api/connections/{bench.connection_id}/{path}", json=body)
    assert answer.is_success, answer.text
    return dict(answer.json()) if answer.content else {}


async def end(tasks: Answers) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@on_both_backends
@pytest.mark.parametrize(
    ("stop", "go", "refused"),
    [
        (("agents/{}/pause", "POST"), ("agents/{}/resume", "POST"), (403, "agent_paused")),
        (("agents/{}/freeze", "POST"), ("agents/{}/release", "POST"), (423, "agent_frozen")),
        (("freeze", "POST"), ("freeze", "DELETE"), (423, "connection_frozen")),
    ],
)
async def test_a_stopped_agent_is_answered_why_until_it_may_go_on(
    workshop: Workshop, stop: tuple[str, str], go: tuple[str, str], refused: tuple[int, str]
) -> None:
    bench = await workshop.bench(_SLOW)
    agent = await bench.agent()
    assert (await agent.http.get("/notes?select=id")).json() == [{"id": 1}]
    await press(bench, stop[0].format(agent.id), method=stop[1])
    for answer in (
        await agent.http.get("/notes"),
        await agent.http.patch("/notes?id=eq.1", json={"body": "two"}),
        await agent.http.post("/notes", content=b"[" + b" " * 200_000 + b"]"),
        await agent.api.get("/introspect"),
    ):
        assert read_refusal(answer) == refused
        assert "person" in answer.json()["message"]
        assert (answer.json()["hint"], answer.json()["details"]) == (None, None)
        assert not any(lever in answer.text for lever in ("release", "resume", "editor", "/"))
    by_person = await bench.person.patch(f"/api/v/{bench.connection_id}/rest/v1/notes?id=eq.1", json={"body": "mine"})
    assert by_person.status_code == 204
    await press(bench, go[0].format(agent.id), method=go[1])
    assert (await agent.http.patch("/notes?id=eq.1", json={"body": "three"})).status_code == 204
    assert await bench.rows("SELECT body FROM notes") == [{"body": "three"}]


@pytest.mark.parametrize("way", ["agent", "connection", "revoked", "rotated"])
async def test_a_freeze_ends_what_is_running(workshop: Workshop, way: str) -> None:
    bench = await workshop.bench(_SLOW)
    agent, other = await bench.agent(), await bench.agent()
    running = [read_slowly(agent), write_slowly(agent), read_slowly(other)]
    await wait_for_sleepers(bench, 3)
    if way == "revoked":
        await press(bench, f"agents/{agent.id}", method="DELETE", json=None)
    elif way == "rotated":
        await press(bench, f"agents/{agent.id}/rotate")
    else:
        await press(bench, f"agents/{agent.id}/freeze" if way == "agent" else "freeze")
    expected = {"agent": (423, "agent_frozen"), "connection": (423, "connection_frozen")}
    for answer in await asyncio.gather(*running[:2]):
        assert read_refusal(answer) == expected.get(way, (401, "unauthenticated"))
    await wait_for_sleepers(bench, 0 if way == "connection" else 1)
    assert await bench.rows("SELECT id FROM notes WHERE id = 7") == []
    assert [one for one in await bench.sessions() if one["mutationCount"]] == []
    if way == "connection":
        assert read_refusal(await running[2]) == (423, "connection_frozen")
    await end(running)


async def test_a_pause_lets_running_requests_finish(workshop: Workshop) -> None:
    bench = await workshop.bench(_SLOW)
    agent = await bench.agent()
    running = asyncio.create_task(agent.http.get("/rpc/slow?s=0.5"))
    await wait_for_sleepers(bench, 1)
    await press(bench, f"agents/{agent.id}/pause")
    assert read_refusal(await agent.http.get("/notes")) == (403, "agent_paused")
    assert (await running).json() == 1


async def test_a_frozen_session_ends_its_own_writes_only(workshop: Workshop) -> None:
    bench = await workshop.bench(_SLOW)
    agent = await bench.agent()
    made = await agent.http.post("/notes", json={"id": 2}, headers={"x-basewarden-session": "mine"})
    session = made.headers["x-basewarden-session"]
    running = [
        write_slowly(agent, 7, "mine"),
        write_slowly(agent, 8, session),
        write_slowly(agent, 9, "other"),
        read_slowly(agent),
    ]
    await wait_for_sleepers(bench, 4)
    await press(bench, f"sessions/{session}/freeze")
    for answer in await asyncio.gather(*running[:2]):
        assert read_refusal(answer) == (423, "session_frozen")
        assert answer.json()["details"] == {"sessionId": session}
    await wait_for_sleepers(bench, 2)
    await end(running)


async def test_a_freeze_reaches_the_other_process(own_workshop: OwnWorkshop, serve: Serve) -> None:
    workshop = await own_workshop.open()
    bench = await workshop.bench(_SLOW)
    agent = await bench.agent()
    other = await serve()
    headers = {"authorization": f"Bearer {agent.token}"}
    path = f"http://127.0.0.1:{other.port}/api/v/{bench.connection_id}/rest/v1"
    async with httpx.AsyncClient(base_url=path, headers=headers, trust_env=False, timeout=30) as client:
        assert (await client.get("/notes?select=id")).json() == [{"id": 1}]
        slow = {"id": 7, "body": "slow"}
        running = [
            asyncio.create_task(client.get("/rpc/slow?s=60")),
            asyncio.create_task(client.post("/notes", json=slow)),
        ]
        await wait_for_sleepers(bench, 2)
        await press(bench, f"agents/{agent.id}/freeze")
        assert [read_refusal(answer) for answer in await asyncio.gather(*running)] == [(423, "agent_frozen")] * 2
        assert read_refusal(await client.get("/notes")) == (423, "agent_frozen")
        await wait_for_sleepers(bench, 0)
        await press(bench, f"agents/{agent.id}/release")
        await wait_until(lambda: client.get("/notes"), "the release", matches=lambda answer: answer.status_code == 200)


async def test_a_stop_that_was_not_heard_is_found_when_the_listener_is_back(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open()
    bench = await workshop.bench(_SLOW)
    agent, other = await bench.agent(), await bench.agent()
    running = [read_slowly(agent), read_slowly(other)]
    await wait_for_sleepers(bench, 2)
    async with bench.product.registry.get(Database).engine.begin() as own:
        await own.exec_driver_sql("UPDATE agents SET frozen_at = now() WHERE id = %s", (agent.id,))
    async with bench.product.registry.get(Database).engine.begin() as own:
        await own.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%%'"
        )
    assert read_refusal(await running[0]) == (423, "agent_frozen")
    await wait_for_sleepers(bench, 1)
    await end(running)


@pytest.mark.parametrize("backend", ["api"])
async def test_a_projects_api_is_left_at_once_and_the_write_is_unknown(workshop: Workshop, backend: Backend) -> None:
    assert backend == "api"
    bench = await workshop.bench(_SLOW)
    agent = await bench.agent()
    running = [write_slowly(agent, name="mine"), read_slowly(agent)]
    await wait_for_sleepers(bench, 2)
    await press(bench, f"agents/{agent.id}/freeze")
    written, read = await asyncio.gather(*running)
    assert read_refusal(read) == (423, "agent_frozen")
    assert read_refusal(written) == (502, "outcome_unknown")
    assert "may or may not have been applied" in written.json()["message"]
    (session,) = await bench.sessions()
    journal = await wait_until(
        lambda: bench.journal(session["id"]), "its outcome", matches=lambda one: one["writes"][0]["state"] != "pending"
    )
    assert journal["writes"][0]["state"] == "unknown"


async def test_what_was_stopped_is_listed_as_blocked(workshop: Workshop) -> None:
    bench = await workshop.bench(_SLOW)
    agent = await bench.agent()
    running = write_slowly(agent)
    await wait_for_sleepers(bench, 1)
    await press(bench, f"agents/{agent.id}/freeze")
    assert read_refusal(await running) == (423, "agent_frozen")
    await agent.http.get("/notes?body=eq.secret")
    await agent.api.get("/introspect")
    refusals = await wait_until(
        lambda: bench.person.get(f"/api/connections/{bench.connection_id}/refusals?code=agent_frozen"),
        "the refusals",
        matches=lambda answer: len(answer.json()["refusals"]) == 3,
    )
    summaries = {one["summary"] for one in refusals.json()["refusals"]}
    assert summaries == {"POST /notes", "GET /notes?body=eq.…", "GET /"}
