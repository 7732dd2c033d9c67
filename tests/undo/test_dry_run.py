"""A preview executes the undo without changing anything, and names each row that the database rejects."""

from typing import Any

import psycopg
import pytest

from tests.fixtures.bench import Bench, BenchAgent, Workshop
from tests.undo.test_service import request_undo

PEOPLE = """
    CREATE TABLE people (id int PRIMARY KEY, age int, name text, boss int);
    CREATE TABLE plain (id int PRIMARY KEY, x int);
    INSERT INTO people SELECT n, n, 'n' || n, n FROM generate_series(1, 40) n;
    INSERT INTO plain SELECT n, n FROM generate_series(1, 3) n;
"""


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(PEOPLE)


async def _read_all(bench: Bench) -> list[Any]:
    return [await bench.rows(f"SELECT * FROM {table} ORDER BY id") for table in ("people", "plain")]


def _list_keys(receipt: dict[str, Any]) -> list[int]:
    return sorted(conflict["primaryKey"]["id"] for conflict in receipt["conflicts"])


LATER = {
    "check": "ALTER TABLE people ADD CONSTRAINT old CHECK (age > 12) NOT VALID",
    "trigger": """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN IF NEW.age <= 12 THEN RAISE ''too young''; END IF; RETURN NEW; END';
        CREATE TRIGGER refuse BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION refuse()""",
    "constraint trigger": """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN IF NEW.age <= 12 THEN RAISE ''too young''; END IF; RETURN NEW; END';
        CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON people DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()""",
    "partial": """
        CREATE UNIQUE INDEX ON people (age) WHERE age < 90;
        INSERT INTO people SELECT n + 100, n FROM generate_series(1, 12) n""",
}


@pytest.mark.parametrize("later", LATER)
async def test_the_preview_names_what_the_database_would_refuse(bench: Bench, agent: BenchAgent, later: str) -> None:
    session = (await agent.write("PATCH", "/people?id=lte.30", {"age": 95 if later != "partial" else None})).session_id
    await agent.write("PATCH", "/plain?id=gt.0", {"x": 0})
    await bench.run(LATER[later])
    digests = await _read_all(bench)
    preview = (await request_undo(bench, session, "preview")).json()
    assert _list_keys(preview) == list(range(1, 13))
    assert preview["planned"] == 33
    assert await _read_all(bench) == digests
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert _list_keys(refused.json()) == list(range(1, 13))
    assert await _read_all(bench) == digests
    done = await request_undo(bench, session, onConflict="skip")
    assert (done.json()["reverted"], done.json()["skipped"]) == (21, 12)
    assert _list_keys(done.json()) == list(range(1, 13))


async def test_a_null_that_the_column_takes_no_more_is_named(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("UPDATE people SET age = NULL WHERE id IN (3, 4)")
    session = (await agent.write("PATCH", "/people?id=lte.30", {"age": 95})).session_id
    await bench.run("ALTER TABLE people ALTER age SET NOT NULL")
    assert _list_keys((await request_undo(bench, session, "preview")).json()) == [3, 4]


async def test_thousands_of_refused_rows_are_found_at_once(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("INSERT INTO people SELECT n, 5, 'x' FROM generate_series(1001, 4000) n")
    session = (await agent.write("PATCH", "/people?id=gt.1000", {"age": 95})).session_id
    await bench.run("ALTER TABLE people ADD CONSTRAINT old CHECK (age > 12) NOT VALID")
    preview = (await request_undo(bench, session, "preview")).json()
    assert len(preview["conflicts"]) == 3000
    done = await request_undo(bench, session, onConflict="skip")
    assert (done.status_code, done.json()["reverted"], done.json()["skipped"]) == (200, 0, 3000)


async def test_a_preview_that_could_not_try_says_so(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/people?id=eq.1", {"age": 95})).session_id
    async with await psycopg.AsyncConnection.connect(bench.dsn) as busy:
        await busy.execute("SELECT FROM people WHERE id = 1 FOR UPDATE")
        preview = await request_undo(bench, session, "preview")
    assert preview.status_code == 200
    assert preview.json()["planned"] == 1
    (note,) = preview.json()["notes"]
    assert "not tested" in note
    assert (await request_undo(bench, session, "preview")).json()["notes"] == []
