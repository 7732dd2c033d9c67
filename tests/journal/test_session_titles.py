"""What a session did, counted by table and verb from real writes."""

import psycopg

from basewarden.journal import RefusalLog
from tests.fixtures.bench import Backend, Workshop, on_both_backends

_SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    CREATE TABLE addresses (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE);
    CREATE TABLE prices (id int PRIMARY KEY, amount int);
    CREATE FUNCTION restock() RETURNS void LANGUAGE sql AS 'SELECT';
    INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 9) n;
    INSERT INTO addresses SELECT n, n FROM generate_series(1, 4) n;
    INSERT INTO prices SELECT n, n FROM generate_series(1, 30) n
"""


async def test_what_foreign_keys_changed_is_counted_apart(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    await agent.write("PATCH", "/prices?id=gt.0", {"amount": 0})
    await agent.write("DELETE", "/customers?id=lt.6")
    await agent.write("POST", "/customers", {"id": 10, "name": "new"})
    (session,) = await bench.sessions()
    assert session["title"] == "Deleted 5 customers, changed 30 prices, deleted 4 addresses"
    assert (session["mutationCount"], session["writeCount"]) == (40, 3)


async def test_a_row_that_was_changed_twice_is_one_row(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    await agent.write("PATCH", "/prices?id=eq.1", {"amount": 5})
    await agent.write("PATCH", "/prices?id=lt.3", {"amount": 6})
    await agent.write("DELETE", "/customers?id=eq.1")
    (session,) = await bench.sessions()
    assert session["title"] == "Deleted 1 customer, changed 2 prices, deleted 1 address"
    assert session["mutationCount"] == 5
    page = (await bench.person.get(f"/c/{bench.connection_id}/sessions/{session['id']}")).text
    assert "4 rows in 3 writes" in page
    assert ">~2</span>" in page


@on_both_backends
async def test_an_upsert_is_counted_by_what_it_did(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    rows = [{"id": number, "amount": 0} for number in (29, 30, 31, 32, 33)]
    await agent.write("POST", "/prices", rows, prefer="resolution=merge-duplicates")
    (session,) = await bench.sessions()
    assert session["title"] == "Changed 2 prices, added 3 prices"


async def test_undo_and_redo_name_the_session(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/prices?id=gt.0", {"amount": 0})).session_id
    for _ in range(2):
        path = f"/api/connections/{bench.connection_id}/sessions/{session}/undo"
        session = (await bench.person.post(path, json={"mode": "apply"})).json()["undoSessionId"]
    titles = [one["title"] for one in await bench.sessions()]
    assert titles == ["Redid “Changed 30 prices”", "Undid “Changed 30 prices”", "Changed 30 prices"]


async def test_calls_and_labels(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    answer = await agent.http.post("/rpc/restock", headers={"x-basewarden-session": "nightly"})
    assert answer.is_success, answer.text
    (session,) = await bench.sessions()
    assert session["title"] == "nightly: called function restock"


async def test_a_session_whose_writes_were_rolled_back_names_what_was_blocked(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerWrite=10)
    session = (await agent.write("PATCH", "/prices?id=eq.1", {"amount": 0})).session_id
    assert (await agent.http.delete("/prices?id=gt.0")).status_code == 403
    await bench.product.registry.get(RefusalLog).flush()
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
        await own.execute("UPDATE journal_writes SET state = 'aborted' WHERE session_id = %s", (session,))
    (found,) = await bench.sessions()
    assert found["title"] == "Blocked: DELETE prices"


async def test_writes_of_an_earlier_release_have_no_counts_of_their_own(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    await agent.write("DELETE", "/customers?id=lt.6")
    dsn = bench.product.settings.database_url.reveal()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as own:
        await own.execute(
            "UPDATE journal_writes SET change_counts = NULL WHERE connection_id = %s", (bench.connection_id,)
        )
    (session,) = await bench.sessions()
    assert session["title"] == "Changed 9 rows of customers and other tables"
