"""The project's tables change while agents read and write: only requests that use the change notice it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest

from tests.fixtures.bench import OWNER, Bench, BenchAgent, Workshop, wait_for_lock
from tests.fixtures.migrations import BEFORE, ConstantLoad, change_meanwhile


def sender(agent: BenchAgent) -> Any:
    async def send(method: str, path: str, body: Any, headers: Mapping[str, str]) -> tuple[int, str]:
        content = None if body is None else json.dumps(body).encode()
        answer = await agent.http.request(
            method, path, content=content, headers={**headers, "content-type": "application/json"}
        )
        return answer.status_code, answer.text

    return send


async def test_ddl_in_the_middle_of_load_fails_no_request(workshop: Workshop) -> None:
    bench = await workshop.bench(BEFORE)
    load = ConstantLoad(sender(await bench.agent(maxWritesPerSession=1_000_000)))
    await change_meanwhile(bench.dsn, load)
    assert load.refused == []


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(BEFORE)


@pytest.fixture
async def agent(bench: Bench) -> BenchAgent:
    """Whose project has read and written already, so that there are a snapshot and prepared statements."""
    agent = await bench.agent()
    await agent.write("PATCH", "/things?id=eq.1&select=*", {"size": 1})
    assert (await agent.http.get("/things?select=*")).status_code == 200
    return agent


async def test_what_is_new_is_there_at_once(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("ALTER TABLE things ADD COLUMN extra int DEFAULT 5")
    assert (await agent.http.get("/things?select=extra&id=eq.1")).json() == [{"extra": 5}]
    await bench.run("ALTER TABLE things ADD COLUMN more text")
    written = await agent.write("PATCH", "/things?id=eq.1", {"more": "yes", "extra": 6})
    assert written.changes[0]["beforeExact"]["extra"] == "5"
    assert written.changes[0]["afterExact"]["more"] == "yes"
    await bench.run("ALTER TABLE things ADD FOREIGN KEY (owner) REFERENCES owners")
    answer = await agent.http.get("/things?select=id,owners(name)&id=eq.1")
    assert answer.json() == [{"id": 1, "owners": {"name": "Ada"}}]
    await bench.run("CREATE FUNCTION half(a int) RETURNS int STABLE LANGUAGE sql AS 'SELECT a / 2'")
    assert (await agent.http.get("/rpc/half?a=8")).json() == 4
    await bench.run(f"SET ROLE {OWNER}; CREATE TABLE fresh (id int PRIMARY KEY); RESET ROLE")
    assert (await agent.write("POST", "/fresh", {"id": 1})).row_changes() == [("fresh", "insert", None, {"id": 1})]


async def test_what_is_gone_is_reported_as_gone(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("ALTER TABLE things DROP COLUMN size")
    answers = [
        await agent.http.get("/things?select=id,size"),
        await agent.http.patch("/things?id=eq.1", json={"size": 2}),
        await agent.http.post("/things", json={"id": 99, "size": 2}),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [
        (400, "42703"),
        (400, "PGRST204"),
        (400, "PGRST204"),
    ]
    await bench.run("DROP TABLE parts")
    assert (await agent.http.get("/parts")).json()["code"] == "PGRST205"
    assert (await agent.http.get("/things?select=id,parts(id)")).json()["code"] == "PGRST200"


async def test_a_column_of_another_type_takes_what_it_takes_now(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("ALTER TABLE things ALTER COLUMN size TYPE text")
    written = await agent.write("PATCH", "/things?id=eq.1", {"size": "XL"})
    assert (written.changes[0]["beforeExact"]["size"], written.changes[0]["afterExact"]["size"]) == ("1", "XL")


async def test_a_column_that_changes_its_name_keeps_its_history(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("ALTER TABLE things RENAME COLUMN size TO width")
    written = await agent.write("PATCH", "/things?id=eq.1", {"width": 3})
    assert written.changes[0]["beforeExact"]["width"] == "1"


async def test_statements_know_a_recreated_type(bench: Bench, agent: BenchAgent) -> None:
    for _ in range(2):
        assert (await agent.http.get("/things?select=id&id=eq.2&state=eq.new")).json() == [{"id": 2}]
        await agent.write("PATCH", "/things?id=eq.1&state=eq.new", {"state": "new"})
        await bench.run("""
            ALTER TYPE state RENAME TO old_state; CREATE TYPE state AS ENUM ('new', 'done');
            ALTER TABLE things ALTER COLUMN state DROP DEFAULT, ALTER COLUMN state TYPE state USING state::text::state;
            DROP TYPE old_state
        """)


async def test_a_recreated_table(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("CREATE TABLE fresh (id int PRIMARY KEY, n int); INSERT INTO fresh VALUES (1, 1)")
    for number in (5, 6):
        await bench.run(
            f"ALTER TABLE fresh OWNER TO {OWNER}; DROP TABLE IF EXISTS fresh;"
            f"SET ROLE {OWNER}; CREATE TABLE fresh (id int PRIMARY KEY, n int); RESET ROLE; INSERT INTO fresh VALUES (1, 1)"
        )
        written = await agent.write("PATCH", "/fresh?id=eq.1", {"n": number})
        assert written.row_changes() == [("fresh", "update", {"id": 1, "n": 1}, {"id": 1, "n": number})]


async def test_schemas_that_swap_their_names(bench: Bench, agent: BenchAgent) -> None:
    await agent.write("PATCH", "/things?id=eq.1", {"size": 2})
    await bench.run(f"""
        CREATE SCHEMA other AUTHORIZATION {OWNER}; SET ROLE {OWNER};
        CREATE TABLE other.things (id int PRIMARY KEY, size int, extra text); INSERT INTO other.things VALUES (1, 7, 'e');
        RESET ROLE; BEGIN; ALTER SCHEMA public RENAME TO old; ALTER SCHEMA other RENAME TO public; COMMIT;
    """)
    written = await agent.write("PATCH", "/things?id=eq.1", {"size": 3})
    assert written.row_changes() == [
        ("things", "update", {"id": 1, "size": 7, "extra": "e"}, {"id": 1, "size": 3, "extra": "e"})
    ]


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
async def test_a_write_that_waited_for_a_migration_sees_what_it_did(workshop: Workshop, level: str) -> None:
    bench = await workshop.bench(
        "CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (1, 'a'), (2, 'b')",
        settings={"default_transaction_isolation": level},
    )
    agent = await bench.agent()
    await agent.write("DELETE", "/notes?id=eq.1")
    async with await psycopg.AsyncConnection.connect(bench.dsn) as other:
        await other.execute("ALTER TABLE notes ADD COLUMN late text DEFAULT 'here'")
        waiting = asyncio.create_task(agent.write("DELETE", "/notes?id=eq.2"))
        await wait_for_lock(bench)
        await other.commit()
    assert [change["before"]["late"] for change in (await waiting).changes] == ["here"]
