"""The undo over HTTP of what an agent wrote through the data API."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.fixtures.bench import Bench, BenchAgent, Row, Workshop

SHOP = """
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END';
    CREATE TABLE customers (id int PRIMARY KEY, name text, email text UNIQUE, updated_at timestamptz DEFAULT now());
    CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id int REFERENCES customers
        ON DELETE CASCADE, total numeric(10, 2), doubled numeric GENERATED ALWAYS AS (total * 2) STORED);
    CREATE TABLE tickets (id int PRIMARY KEY, customer_id int REFERENCES customers ON DELETE SET NULL, about text);
    CREATE TABLE loose (about text);
    CREATE FUNCTION tidy() RETURNS void LANGUAGE sql AS 'UPDATE tickets SET about = upper(about)';
    INSERT INTO customers SELECT n, 'c' || n, n || '@x.org' FROM generate_series(1, 9) n;
    INSERT INTO orders (customer_id, total) SELECT 1 + n % 9, n * 1.10 FROM generate_series(1, 30) n;
    INSERT INTO tickets SELECT n, 1 + n % 9, 'help' FROM generate_series(1, 20) n;
    CREATE TRIGGER stamp BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION stamp();
"""
TABLES = ("customers", "orders", "tickets", "loose")


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(SHOP)


async def digest(bench: Bench) -> dict[str, list[str]]:
    return {
        table: [row["row"] for row in await bench.rows(f"SELECT t::text AS row FROM {table} t ORDER BY 1")]
        for table in TABLES
    }


async def request_undo(bench: Bench, session: str, mode: str = "apply", **options: Any) -> httpx.Response:
    path = f"/api/connections/{bench.connection_id}/sessions/{session}/undo"
    return await bench.person.post(path, json={"mode": mode, **options})


async def status_of(bench: Bench, session: str) -> Row:
    return await bench.journal(session)


async def test_an_upsert_that_moves_a_row_and_fills_its_key(bench: Bench, agent: BenchAgent) -> None:
    """The rows that refer to the key never noticed, on the way there, back and there again."""
    before = await digest(bench)
    rows = [{"id": 50, "name": "moved", "email": "1@x.org"}, {"id": 1, "name": "new", "email": "new@x.org"}]
    answer = await agent.http.post(
        "/customers?on_conflict=email", json=rows, headers={"prefer": "resolution=merge-duplicates"}
    )
    assert answer.status_code == 201, answer.text
    after = await digest(bench)
    session = answer.headers["x-basewarden-session"]
    for expected in (before, after, before):
        undone = await request_undo(bench, session)
        assert undone.status_code == 200, undone.text
        session = undone.json()["undoSessionId"]
        assert await digest(bench) == expected


async def test_a_disaster_is_taken_back_and_the_taking_back_too(bench: Bench, agent: BenchAgent) -> None:
    before = await digest(bench)
    session = (await agent.write("PATCH", "/customers?id=lt.5", {"name": "wrecked"})).session_id
    await agent.write("DELETE", "/customers?id=in.(2,3,9)")
    await agent.write("POST", "/customers", [{"id": 50, "name": "junk"}, {"id": 51, "name": "junk"}])
    await agent.write("POST", "/orders", {"customer_id": 50, "total": 5})
    merge = "resolution=merge-duplicates,return=representation"
    await agent.write("POST", "/customers", [{"id": 1, "name": "merged"}, {"id": 2, "name": "again"}], prefer=merge)
    left = await digest(bench)

    preview = (await request_undo(bench, session, "preview")).json()
    assert (preview["reverted"], preview["skipped"], preview["conflicts"]) == (0, 0, [])
    assert await digest(bench) == left

    done = await request_undo(bench, session)
    assert done.status_code == 200, done.text
    receipt = done.json()
    assert receipt["planned"] == receipt["reverted"] == preview["planned"]
    assert await digest(bench) == before
    assert (await bench.journal(session))["status"] == "undone"

    undo = await bench.journal(receipt["undoSessionId"])
    assert (undo["kind"], undo["undoOf"], undo["status"]) == ("undo", session, "ended")
    assert len(undo["mutations"]) == receipt["reverted"]
    assert {one["state"] for one in undo["mutations"]} == {"committed"}

    again = await request_undo(bench, receipt["undoSessionId"])
    assert again.status_code == 200, again.text
    assert await digest(bench) == left
    assert (await bench.journal(receipt["undoSessionId"]))["status"] == "undone"
    assert (await bench.journal(session))["status"] == "active"

    assert (await request_undo(bench, again.json()["undoSessionId"])).status_code == 200
    assert await digest(bench) == before
    assert (await bench.journal(session))["status"] == "undone"


async def test_conflicts_refuse_and_skip(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/customers?id=lt.4", {"name": "wrecked"})).session_id
    await bench.run("UPDATE customers SET email = 'theirs' WHERE id = 1")
    await bench.run("UPDATE customers SET name = 'theirs' WHERE id = 2")
    digests = await digest(bench)
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert refused.json()["code"] == "undo_conflict"
    (conflict,) = refused.json()["conflicts"]
    assert conflict["primaryKey"] == {"id": 2}
    assert conflict["columns"] == [{"name": "name", "before": "c2", "session": "wrecked", "now": "theirs"}]
    assert refused.json()["undoSessionId"] is None
    assert await digest(bench) == digests
    skipped = await request_undo(bench, session, onConflict="skip")
    assert skipped.status_code == 200
    assert [skipped.json()[name] for name in ("planned", "reverted", "skipped")] == [3, 2, 1]
    names = await bench.rows("SELECT name, email FROM customers WHERE id < 4 ORDER BY id")
    assert [tuple(row.values()) for row in names] == [("c1", "theirs"), ("theirs", "2@x.org"), ("c3", "3@x.org")]
    assert (await bench.journal(session))["status"] == "partly_undone"


async def test_pressed_again_after_a_skip_it_takes_back_what_is_free_now(bench: Bench, agent: BenchAgent) -> None:
    before = await digest(bench)
    session = (await agent.write("DELETE", "/tickets?id=lt.4")).session_id
    await agent.write("POST", "/customers", {"id": 60, "name": "junk"})
    await bench.run("INSERT INTO tickets VALUES (2, NULL, 'other')")
    assert (await request_undo(bench, session, onConflict="skip")).json()["skipped"] == 1
    await bench.run("DELETE FROM tickets WHERE about = 'other'")
    again = await request_undo(bench, session)
    assert again.status_code == 200
    assert again.json()["conflicts"] == []
    assert await digest(bench) == before
    assert (await bench.journal(session))["status"] == "undone"


async def test_undone_only_once(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/customers?id=eq.1", {"name": "x"})).session_id
    first = (await request_undo(bench, session)).json()
    for mode in ("preview", "apply"):
        again = await request_undo(bench, session, mode)
        assert (again.status_code, again.json()["code"]) == (409, "already_undone")
        assert again.json()["details"] == {"undoSessionId": first["undoSessionId"]}


async def test_two_presses_at_once(bench: Bench, agent: BenchAgent) -> None:
    before = await digest(bench)
    session = (await agent.write("PATCH", "/customers?id=gt.0", {"name": "x"})).session_id
    answers = await asyncio.gather(*(request_undo(bench, session) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.is_error} <= {"undo_running", "already_undone"}
    assert await digest(bench) == before


async def test_what_cannot_come_back_is_said(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("POST", "/orders", {"customer_id": 1, "total": 5})).session_id
    await agent.write("POST", "/loose", {"about": "no key"})
    await agent.http.post("/rpc/tidy", json={})
    receipt = (await request_undo(bench, session)).json()
    assert receipt["reverted"] == 1
    text = " ".join(receipt["irreversible"])
    assert "public.orders.id took from its sequence" in text
    assert "1 row of public.loose, a table without a primary key" in text
    assert "1 call of the function public.tidy" in text
    assert "20 rows updated in public.tickets" in text
    assert (await bench.journal(session))["status"] == "partly_undone"


async def test_a_session_with_nothing_to_take_back(bench: Bench, agent: BenchAgent) -> None:
    answer = await agent.http.post("/rpc/tidy", json={})
    session = answer.headers["x-basewarden-session"]
    receipt = (await request_undo(bench, session)).json()
    assert [receipt[name] for name in ("planned", "reverted", "skipped", "undoSessionId")] == [0, 0, 0, None]
    assert (await bench.journal(session))["status"] == "active"


async def test_the_agents_next_write_is_a_session_of_its_own(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/customers?id=eq.1", {"name": "x"})).session_id
    assert (await request_undo(bench, session)).status_code == 200
    after = await agent.write("PATCH", "/customers?id=eq.2", {"name": "y"})
    assert after.session_id != session


async def test_who_may_press(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/customers?id=eq.1", {"name": "x"})).session_id
    path = f"/api/connections/{bench.connection_id}/sessions/{session}/undo"
    stranger = await bench.product.sign_up(f"stranger-{session}@example.com")
    assert (await stranger.post(path, json={"mode": "apply"})).status_code == 404
    assert (await (await bench.product.client()).post(path, json={"mode": "apply"})).status_code == 401
    assert (await agent.api.post(f"/../../..{path}", json={"mode": "apply"})).status_code in (401, 404)
    assert (await request_undo(bench, session, "perhaps")).status_code == 422
    assert (await request_undo(bench, session, onConflict="force")).status_code == 422
    assert (await request_undo(bench, "00000000-0000-7000-8000-000000000000")).status_code == 404
    assert (await request_undo(bench, "nonsense")).status_code == 404


@pytest.mark.slow
async def test_sixty_thousand_rows_are_one_undo(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE customers (id int PRIMARY KEY, name text, email text UNIQUE);
        CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers ON DELETE CASCADE, total numeric);
        CREATE INDEX ON orders (customer_id);
        INSERT INTO customers SELECT n, 'c' || n, n || '@x.org' FROM generate_series(1, 20000) n;
        INSERT INTO orders SELECT n, 1 + n % 20000, n * 1.10 FROM generate_series(1, 40000) n;
    """)
    agent = await bench.agent(maxRowsPerWrite=100_000)
    answer = await agent.http.request("DELETE", "/customers?id=gt.0", headers={"prefer": "return=minimal"}, timeout=120)
    assert answer.is_success, answer.text
    session = answer.headers["x-basewarden-session"]
    path = f"/api/connections/{bench.connection_id}/sessions/{session}/undo"
    done = await bench.person.post(path, json={"mode": "apply"}, timeout=120)
    assert done.json()["reverted"] == 60_000
    assert await bench.rows("SELECT count(*), sum(total) FROM orders") == [
        {"count": 40_000, "sum": Decimal("880022000.00")}
    ]


async def test_what_only_the_database_knows_is_skipped_too(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE rooms (id int PRIMARY KEY, name text, gone bool DEFAULT false);
        CREATE UNIQUE INDEX ON rooms (lower(name)) WHERE NOT gone;
        CREATE TABLE stays (id int PRIMARY KEY, room int REFERENCES rooms, days int4range,
            EXCLUDE USING gist (days WITH &&));
        INSERT INTO rooms SELECT n, 'r' || n FROM generate_series(1, 20) n;
        INSERT INTO stays SELECT n, n, int4range(n * 10, n * 10 + 5) FROM generate_series(1, 20) n;
    """)
    agent = await bench.agent()
    session = (await agent.write("DELETE", "/stays?id=gt.0")).session_id
    await agent.write("DELETE", "/rooms?id=lt.9")
    await bench.run("INSERT INTO rooms VALUES (90, 'R3')")
    await bench.run("INSERT INTO stays VALUES (90, 20, '[151,153)')")
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert "allows only one" in refused.json()["conflicts"][0]["reason"]
    receipt = (await request_undo(bench, session, onConflict="skip")).json()
    conflicts = sorted((one["table"], one["primaryKey"]["id"]) for one in receipt["conflicts"])
    assert conflicts == [("rooms", 3), ("stays", 3), ("stays", 15)]
    assert (receipt["planned"], receipt["reverted"], receipt["skipped"]) == (28, 25, 3)
    assert [row["id"] for row in await bench.rows("SELECT id FROM stays ORDER BY id")] == [
        *(n for n in range(1, 21) if n not in (3, 15)),
        90,
    ]
