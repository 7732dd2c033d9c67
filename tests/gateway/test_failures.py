"""A database goes away in the middle: theirs or ours. Nothing is committed unrecorded or reported as done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.fixtures.bench import Bench, BenchAgent, OwnWorkshop, Workshop, on_both_backends
from tests.fixtures.waiting import wait_until

_NOTES = """
    CREATE TABLE notes (id int PRIMARY KEY, body text); INSERT INTO notes VALUES (1, 'a');
    CREATE TABLE doors (id int PRIMARY KEY); INSERT INTO doors VALUES (1);
    CREATE FUNCTION wait_at_door() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM 1 FROM doors FOR SHARE; RETURN NULL; END $$;
    CREATE TRIGGER late AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION wait_at_door();
"""


@asynccontextmanager
async def closed_door(bench: Bench) -> AsyncIterator[None]:
    """Inserts stop in their own transaction until the block ends."""
    async with await psycopg.AsyncConnection.connect(bench.dsn) as other:
        await other.execute("SELECT 1 FROM doors FOR UPDATE")
        yield
        await other.rollback()


async def stop_at_door(bench: Bench, agent: BenchAgent) -> "asyncio.Task[httpx.Response]":
    waiting = asyncio.create_task(agent.http.post("/notes", json={"id": 2}))
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    await wait_until(lambda: bench.rows(query), "the write to wait for the lock", seconds=5)
    return waiting


async def cut(bench: Bench) -> None:
    """Ends every backend of the project's database but ours."""
    await bench.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'basewarden'"
    )


async def test_the_project_goes_away_during_a_write(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    async with closed_door(bench):
        waiting = await stop_at_door(bench, agent)
        await cut(bench)
        answer = await waiting
    assert answer.status_code == 503
    assert set(answer.json()) == {"code", "message", "details", "hint"}
    assert await bench.rows("SELECT id FROM notes") == [{"id": 1}]
    assert await bench.sessions() == []
    assert (await agent.http.post("/notes", json={"id": 2})).status_code == 201


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def test_idle_connections_that_died_are_not_noticed_by_callers(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    await asyncio.gather(*(agent.http.get("/notes") for _ in range(4)))
    rows = await bench.rows(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'basewarden'"
    )
    await cut(bench)
    await wait_until(  # the server forgets a backend before its socket is closed
        lambda: [row["pid"] for row in rows if is_running(row["pid"])],
        "the backends to end",
        matches=lambda running: not running,
    )
    answers = await asyncio.gather(*(agent.http.get("/notes") for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4


async def test_a_project_that_is_away_does_not_hide_its_journal(workshop: Workshop) -> None:
    """A write is still pending, and the project cannot be asked about it: the session is shown as it stands."""
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    written = await agent.write("PATCH", "/notes?id=eq.1", {"body": "b"})
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
        await own.execute("UPDATE journal_writes SET state = 'pending' WHERE session_id = %s", (written.session_id,))
    name = bench.admin.info.dbname
    await bench.run(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    await cut(bench)
    journal = await bench.journal(written.session_id)
    assert [one["state"] for one in journal["mutations"]] == ["pending"]
    answer = await agent.http.get("/notes")
    assert (answer.status_code, answer.json()["code"]) == (503, "PGRST000")
    await bench.run(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    journal = await bench.journal(written.session_id)
    assert [one["state"] for one in journal["mutations"]] == ["committed"]


async def test_our_database_refuses_and_nothing_is_changed(own_workshop: OwnWorkshop) -> None:
    workshop = await own_workshop.open()
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    await agent.write("PATCH", "/notes?id=eq.1", {"body": "first"})
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
        await own.execute("ALTER TABLE journal_mutations RENAME TO journal_elsewhere")
        answer = await agent.http.patch("/notes?id=eq.1", json={"body": "second"})
        assert (answer.status_code, answer.json()["code"]) == (503, "journal_unavailable")
        assert await bench.rows("SELECT body FROM notes") == [{"body": "first"}]
        assert (await agent.http.get("/notes")).status_code == 200
        await own.execute("ALTER TABLE journal_elsewhere RENAME TO journal_mutations")
    assert len((await agent.write("PATCH", "/notes?id=eq.1", {"body": "third"})).changes) == 1


async def test_a_constraint_of_theirs_keeps_its_own_error(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent()
    answer = await agent.http.post("/notes", json={"id": 1})
    assert (answer.status_code, answer.json()["code"]) == (409, "23505")
    answer = await agent.http.patch("/notes?id=eq.1", json={"nope": 1})
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST204")
    assert await bench.sessions() == []


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE notes ADD COLUMN extra int DEFAULT 5",
        "ALTER TABLE lines ADD FOREIGN KEY (note) REFERENCES notes ON DELETE CASCADE",
    ],
    ids=["column", "cascade"],
)
async def test_a_write_right_after_a_migration_is_recorded_whole(workshop: Workshop, change: str) -> None:
    bench = await workshop.bench(
        f"{_NOTES} CREATE TABLE lines (id int PRIMARY KEY, note int); INSERT INTO lines VALUES (5, 1)"
    )
    agent = await bench.agent()
    await agent.write("PATCH", "/notes?id=eq.1", {"body": "b"})
    await bench.run(change)
    written = await agent.write("DELETE", "/notes?id=eq.1")
    lost = 1 - len(await bench.rows("SELECT * FROM lines"))
    assert len([one for one in written.changes if one["table"] == "lines"]) == lost
    if "COLUMN" in change:
        assert written.changes[0]["beforeExact"] == {"id": "1", "body": "b", "extra": "5"}


@on_both_backends
async def test_a_reader_that_leaves_takes_its_statement_along(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE FUNCTION doze(seconds int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1 FROM pg_sleep(seconds)'
    """)
    agent = await bench.agent(access="read")
    dozing = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    request = asyncio.create_task(agent.http.get("/rpc/doze?seconds=60"))
    async with asyncio.timeout(5):
        await wait_until(lambda: bench.rows(dozing), "the statement to run")
        request.cancel()
        await wait_until(lambda: bench.rows(dozing), "the statement to end", matches=lambda found: not found)
    assert (await agent.http.get("/rpc/doze?seconds=0")).status_code == 200
