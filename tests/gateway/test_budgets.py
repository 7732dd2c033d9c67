"""Limits by session, hour and minute: they hold whatever sessions a client makes up, and in all processes together."""

import asyncio
from itertools import count
from typing import Any

import httpx
import psycopg
import pytest

from tests.fixtures.app import Serve, read_refusal
from tests.fixtures.bench import BenchAgent, OwnWorkshop, Workshop, on_both_backends
from tests.fixtures.waiting import wait_until

_SHOP = """
    CREATE TABLE items (id int PRIMARY KEY, note text, parent int REFERENCES items ON DELETE CASCADE);
    CREATE TABLE logged (id int);
    CREATE FUNCTION touch(k int) RETURNS void LANGUAGE sql AS 'UPDATE items SET note = ''t'' WHERE id <= k';
    CREATE FUNCTION list_items() RETURNS SETOF items LANGUAGE sql STABLE AS 'SELECT * FROM items ORDER BY id';
    INSERT INTO items SELECT n, 'n' || n, CASE WHEN n > 10 THEN 1 END FROM generate_series(1, 20) n;
"""
_NUMBERS = count()


async def _change(agent: BenchAgent, most: int, *, session: str | None = None) -> httpx.Response:
    headers = {} if session is None else {"x-basewarden-session": session}
    changed = {"note": f"x{next(_NUMBERS)}"}  # rows that stay as they are do not count
    return await agent.http.patch(f"/items?id=lte.{most}", json=changed, headers=headers)


async def _count_changed(agent: BenchAgent) -> int:
    rows = await agent.bench.rows("SELECT count(*) AS n FROM items WHERE note LIKE 'x%'")
    return int(rows[0]["n"])


@on_both_backends
async def test_a_session_over_its_rows_is_frozen_until_it_is_released(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerSession=5)
    assert (await _change(agent, 3)).status_code == 204
    answer = await _change(agent, 4)
    assert read_refusal(answer) == (423, "session_frozen")
    session = answer.json()["details"]["sessionId"]
    assert read_refusal(await _change(agent, 1)) == (423, "session_frozen")
    assert await _count_changed(agent) == 3
    path = f"/api/connections/{bench.connection_id}/sessions/{session}/release"
    assert (await bench.person.post(path)).is_success
    assert (await _change(agent, 5)).status_code == 204
    assert (await _change(agent, 6, session="another")).status_code == 423


@on_both_backends
async def test_an_hour_has_so_many_rows_whatever_the_sessions_are_called(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerHour=10)
    for number in range(3):
        assert (await _change(agent, 3, session=f"s{number}")).status_code == 204
    answer = await _change(agent, 2, session="s9")
    assert read_refusal(answer) == (429, "budget_exceeded")
    assert 3000 < int(answer.headers["retry-after"]) <= 3660
    assert (await _change(agent, 1)).status_code == 204
    assert read_refusal(await _change(agent, 1)) == (429, "budget_exceeded")

    async def list_refusals() -> list[str]:
        answer = await bench.person.get(f"/api/connections/{bench.connection_id}/refusals")
        return [one["code"] for one in answer.json()["refusals"]]

    assert set(await wait_until(list_refusals, "a stored refusal")) == {"budget_exceeded"}
    other = await bench.agent(maxRowsPerHour=10)
    assert (await _change(other, 1)).status_code == 204


async def test_cascades_and_what_functions_change_count(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerHour=10)
    assert read_refusal(await agent.http.delete("/items?id=eq.1")) == (429, "budget_exceeded")  # with ten others
    assert (await agent.http.post("/rpc/touch", json={"k": 8})).status_code == 204
    assert read_refusal(await agent.http.post("/rpc/touch", json={"k": 3})) == (429, "budget_exceeded")
    assert (await agent.http.delete("/items?id=in.(2,3)")).status_code == 204
    assert await bench.rows("SELECT count(*) AS n FROM items") == [{"n": 18}]


@on_both_backends
async def test_what_is_refused_or_rolled_back_is_not_counted(workshop: Workshop, backend: str) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerHour=4, maxRowsPerWrite=3)
    for _ in range(3):
        assert read_refusal(await _change(agent, 4)) == (403, "row_limit")
        assert read_refusal(await agent.http.post("/items", json=[{"id": 1}, {"id": 2}])) == (409, "23505")
    if backend == "direct":
        rolled_back = await agent.http.patch("/items?id=lte.3", json={"note": "y"}, headers={"prefer": "tx=rollback"})
        assert rolled_back.is_success
    assert (await _change(agent, 3)).status_code == 204


async def test_counts_leave_after_an_hour(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerHour=3, maxReadRowsPerHour=3)
    assert (await _change(agent, 3)).status_code == 204
    assert (await agent.http.get("/items?limit=3")).status_code == 200
    assert read_refusal(await _change(agent, 1)) == (429, "budget_exceeded")
    assert read_refusal(await agent.http.get("/items?limit=1")) == (429, "budget_exceeded")
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
        await own.execute("UPDATE agent_use SET minute = minute - interval '62 minutes'")
    assert (await _change(agent, 3)).status_code == 204
    assert (await agent.http.get("/items?limit=3")).status_code == 200


@on_both_backends
async def test_a_reader_never_gets_more_than_is_left(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxReadRowsPerHour=12)
    assert read_refusal(await agent.http.get("/items")) == (429, "budget_exceeded")
    assert len((await agent.http.get("/items?limit=5&order=id")).json()) == 5
    csv = await agent.http.get("/items?limit=3", headers={"accept": "text/csv"})
    assert len(csv.text.splitlines()) == 4
    assert read_refusal(await agent.http.get("/items?limit=5")) == (429, "budget_exceeded")
    assert (await agent.http.head("/items?limit=5")).status_code in (200, 206)
    answer = await agent.http.get("/items?limit=4&order=id.desc", headers={"prefer": "count=exact"})
    assert (answer.status_code, answer.headers["content-range"]) == (206, "0-3/20")
    last = await agent.http.get("/items?id=eq.1")
    assert read_refusal(last) == (429, "budget_exceeded")
    assert int(last.headers["retry-after"]) > 3000


@on_both_backends
async def test_related_rows_and_rows_of_functions_count(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxReadRowsPerHour=12)
    related = "/items?select=id,items!parent(id)&id=eq.1"
    relation = (await agent.http.get(related)).json()
    assert len(relation[0]["items"]) == 10  # and itself: eleven
    assert read_refusal(await agent.http.get("/rpc/list_items")) == (429, "budget_exceeded")
    assert len((await agent.http.get("/rpc/list_items?limit=1")).json()) == 1
    assert read_refusal(await agent.http.get("/rpc/list_items?limit=1")) == (429, "budget_exceeded")


@on_both_backends
@pytest.mark.parametrize(
    "select",
    [
        "x:items(id),x:note",
        "x:items(id),x:parent",
        "note:items(id),*",
        "x:items(id),y:items(id),x:note",
    ],
)
async def test_related_rows_do_not_hide_behind_a_column_of_the_same_name(workshop: Workshop, select: str) -> None:
    """The answer has the key twice, and a client that reads it with care sees both."""
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxReadRowsPerHour=5)
    answer = await agent.http.get(f"/items?select={select.replace('items(', 'items!parent(')}&id=eq.1")
    assert read_refusal(answer) == (429, "budget_exceeded"), answer.text


@on_both_backends
async def test_what_a_write_shows_counts_as_read(workshop: Workshop, backend: str) -> None:
    """Over an API nothing can be rolled back: the rows are changed, and not shown."""
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxReadRowsPerHour=3)
    shown = {"prefer": "return=representation"}
    answer = await agent.http.patch("/items?id=lte.4", json={"note": "x"}, headers=shown)
    if backend == "direct":
        assert read_refusal(answer) == (429, "budget_exceeded")
        assert await _count_changed(agent) == 0
    else:
        assert (answer.status_code, answer.content) == (204, b"")
        assert await _count_changed(agent) == 4
    assert len((await agent.http.patch("/items?id=lte.3", json={"note": "y"}, headers=shown)).json()) == 3
    assert read_refusal(await agent.http.patch("/items?id=eq.9", json={"note": "x"}, headers=shown)) == (
        429,
        "budget_exceeded",
    )
    assert (await _change(agent, 4)).status_code == 204
    made = await agent.http.post("/items", json={"id": 50}, headers={"prefer": "return=minimal"})
    assert made.status_code == 201


async def test_parallel_readers_share_one_budget(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxReadRowsPerHour=30)
    answers = await asyncio.gather(*(agent.http.get("/items?limit=4") for _ in range(20)))
    got = sum(len(answer.json()) for answer in answers if answer.status_code == 200)
    assert got == 28
    assert {answer.status_code for answer in answers} == {200, 429}


async def test_an_agent_has_a_limit_of_requests_of_its_own(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    slow, other = await bench.agent(requestsPerMinute=3), await bench.agent()
    answers = [await slow.http.get("/items?limit=1") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert (await other.http.get("/items?limit=1")).status_code == 200


async def test_parallel_writers_in_two_processes_share_one_budget(own_workshop: OwnWorkshop, serve: Serve) -> None:
    many = {"agent_requests_per_minute": 1_000_000}
    workshop = await own_workshop.open(many)
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerHour=100)
    second = await serve(many)
    ports = (bench.product.port, second.port)

    async def write_until_refused(number: int) -> int:
        written = 0
        async with httpx.AsyncClient(trust_env=False, timeout=60, headers={"apikey": agent.token}) as client:
            while True:
                name = f"{number}-{written}"
                base = f"http://127.0.0.1:{ports[number % 2]}/api/v/{bench.connection_id}/rest/v1"
                rows: list[dict[str, Any]] = [{"id": 1000 + number * 1000 + written + n} for n in range(3)]
                answer = await client.post(f"{base}/items", json=rows, headers={"x-basewarden-session": name})
                if answer.status_code == 429:
                    return written
                assert answer.status_code == 201, answer.text
                written += 3

    written = sum(await asyncio.gather(*(write_until_refused(number) for number in range(8))))
    assert written == 99
    assert await bench.rows("SELECT count(*) AS n FROM items WHERE id >= 1000") == [{"n": 99}]


@pytest.mark.parametrize("limit", [{"maxRowsPerHour": 5}, {"maxRowsPerSession": 5}])
async def test_people_have_no_budget(workshop: Workshop, limit: dict[str, int]) -> None:
    bench = await workshop.bench(_SHOP)
    await bench.agent(**limit)
    person = f"/api/v/{bench.connection_id}/rest/v1/items?id=lte.20"
    assert (await bench.person.patch(person, json={"note": "p"})).status_code == 204
