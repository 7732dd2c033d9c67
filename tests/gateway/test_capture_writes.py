"""What the journal holds of inserts, upserts, updates and deletes."""

import pytest

from tests.fixtures.bench import GUEST, BenchAgent, Workshop

_NOTES = f"""
    CREATE TABLE notes (id int PRIMARY KEY, slug text UNIQUE, body text DEFAULT 'empty', n numeric);
    INSERT INTO notes VALUES (1, 'one', 'first', 1.10), (2, 'two', 'second', 2), (3, 'three', NULL, NULL);
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
    GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO {GUEST};
    CREATE POLICY mostly ON notes TO {GUEST} USING (id <> 3) WITH CHECK (id <> 13);
"""


@pytest.fixture(params=[None, GUEST], ids=["login", "dbRole"])
async def agent(request: pytest.FixtureRequest, workshop: Workshop) -> BenchAgent:
    """The same writes by a role that sees all, and by one that row security holds back."""
    return await (await workshop.bench(_NOTES)).agent(dbRole=request.param)


async def test_insert_of_one_row(agent: BenchAgent) -> None:
    written = await agent.write("POST", "/notes", {"id": 10, "n": 5.50})
    row = {"id": 10, "slug": None, "body": "empty", "n": 5.50}
    assert written.answer.json() == [row]
    assert written.row_changes() == [("notes", "insert", None, row)]
    (change,) = written.changes
    assert change["primaryKey"] == {"id": 10}
    assert change["state"] == "committed"
    assert change["cause"] == "request"
    assert change["afterExact"] == {"id": "10", "slug": None, "body": "empty", "n": "5.5"}


async def test_insert_of_many_rows(agent: BenchAgent) -> None:
    written = await agent.write("POST", "/notes", [{"id": n} for n in range(20, 25)])
    assert [one["after"]["id"] for one in written.changes] == [20, 21, 22, 23, 24]
    assert [one["position"] for one in written.changes] == [1, 2, 3, 4, 5]


async def test_insert_answering_nothing_is_captured_all_the_same(agent: BenchAgent) -> None:
    written = await agent.write("POST", "/notes", {"id": 10}, prefer="return=minimal")
    assert written.answer.content == b""
    assert [one["after"]["id"] for one in written.changes] == [10]


async def test_merge_updates_what_is_there_and_inserts_the_rest(agent: BenchAgent) -> None:
    rows = [{"id": 1, "body": "new"}, {"id": 10, "body": "ten"}]
    written = await agent.write("POST", "/notes", rows, prefer="resolution=merge-duplicates,return=representation")
    assert written.row_changes() == [
        (
            "notes",
            "update",
            {"id": 1, "slug": "one", "body": "first", "n": 1.10},
            {"id": 1, "slug": "one", "body": "new", "n": 1.10},
        ),
        ("notes", "insert", None, {"id": 10, "slug": None, "body": "ten", "n": None}),
    ]


async def test_merge_on_another_unique_key_keeps_the_primary_key(agent: BenchAgent) -> None:
    written = await agent.write(
        "POST",
        "/notes?on_conflict=slug&columns=id,slug,body",
        [{"id": 40, "slug": "two", "body": "moved"}, {"id": 41, "slug": "four", "body": "fresh"}],
        prefer="resolution=merge-duplicates,return=representation",
    )
    first, second = written.changes
    assert (first["verb"], first["before"]["id"], first["after"]["id"]) == ("update", 2, 40)
    assert first["primaryKey"] == {"id": 2}
    assert (second["verb"], second["after"]["slug"]) == ("insert", "four")


async def test_ignored_duplicates_leave_no_trace(agent: BenchAgent) -> None:
    rows = [{"id": 1, "body": "no"}, {"id": 10, "body": "yes"}]
    written = await agent.write("POST", "/notes", rows, prefer="resolution=ignore-duplicates,return=representation")
    assert [(verb, after["id"]) for _, verb, _, after in written.row_changes() if after] == [("insert", 10)]


async def test_an_upsert_that_changes_nothing_records_nothing(agent: BenchAgent) -> None:
    written = await agent.write("POST", "/notes", {"id": 1, "body": "first"}, prefer="resolution=merge-duplicates")
    assert written.changes == []


async def test_put_replaces_a_row_whole(agent: BenchAgent) -> None:
    row = {"id": 2, "slug": "zwei", "body": "put", "n": None}
    written = await agent.write("PUT", "/notes?id=eq.2", row)
    assert written.row_changes() == [("notes", "update", {"id": 2, "slug": "two", "body": "second", "n": 2}, row)]


async def test_put_makes_a_row_that_is_not_there(agent: BenchAgent) -> None:
    row = {"id": 12, "slug": None, "body": "put", "n": None}
    written = await agent.write("PUT", "/notes?id=eq.12", row)
    assert written.row_changes() == [("notes", "insert", None, row)]


async def test_update_records_only_rows_that_changed(agent: BenchAgent) -> None:
    written = await agent.write("PATCH", "/notes?id=in.(1,2)", {"body": "second"})
    assert [(one["before"]["id"], one["before"]["body"], one["after"]["body"]) for one in written.changes] == [
        (1, "first", "second")
    ]
    assert len(written.answer.json()) == 2


async def test_update_of_a_key(agent: BenchAgent) -> None:
    written = await agent.write("PATCH", "/notes?id=eq.1", {"id": 100})
    (change,) = written.changes
    assert (change["verb"], change["before"]["id"], change["after"]["id"]) == ("update", 1, 100)
    assert change["primaryKey"] == {"id": 1}


async def test_delete(agent: BenchAgent) -> None:
    written = await agent.write("DELETE", "/notes?id=eq.1")
    assert written.row_changes() == [("notes", "delete", {"id": 1, "slug": "one", "body": "first", "n": 1.10}, None)]


async def test_a_filter_that_finds_nothing_records_nothing(agent: BenchAgent) -> None:
    assert (await agent.write("PATCH", "/notes?id=eq.999", {"body": "x"})).changes == []
    assert (await agent.write("DELETE", "/notes?id=eq.999")).changes == []


async def test_an_empty_update_changes_nothing(agent: BenchAgent) -> None:
    assert (await agent.write("PATCH", "/notes?id=eq.1", {})).changes == []


async def test_row_security_holds_for_writes(workshop: Workshop) -> None:
    bench = await workshop.bench(_NOTES)
    agent = await bench.agent(dbRole=GUEST)
    written = await agent.write("PATCH", "/notes?id=gte.2", {"body": "seen"})
    assert [one["before"]["id"] for one in written.changes] == [2]
    assert (await agent.write("DELETE", "/notes?id=eq.3")).changes == []
    refused = await agent.http.post("/notes", json={"id": 13})
    assert (refused.status_code, refused.json()["code"]) == (403, "42501")
    assert await bench.rows("SELECT body FROM notes WHERE id = 3") == [{"body": None}]
