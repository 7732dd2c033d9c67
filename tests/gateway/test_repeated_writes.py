"""Writes of one shape, one after another: the second is not planned, and must be as right as the first."""

import pytest

from tests.fixtures.bench import GUEST, Bench, BenchAgent, Workshop

_NOTES = f"""
    CREATE TABLE notes (id int PRIMARY KEY, body text, n numeric);
    INSERT INTO notes SELECT n, 'note ' || n, n FROM generate_series(1, 9) n;
    CREATE TABLE letters (id int PRIMARY KEY, body text);
    CREATE TABLE odd (id bytea PRIMARY KEY, x float8);
    GRANT SELECT, INSERT, UPDATE, DELETE ON notes, odd TO {GUEST};
    GRANT INSERT ON letters TO {GUEST};
"""


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(_NOTES)


@pytest.fixture(params=[None, GUEST], ids=["login", "dbRole"])
async def agent(request: pytest.FixtureRequest, bench: Bench) -> BenchAgent:
    return await bench.agent(dbRole=request.param)


async def test_updates_with_other_values(agent: BenchAgent) -> None:
    for key, body in ((1, "one"), (2, "two"), (3, None), (77, "nobody")):
        written = await agent.write("PATCH", f"/notes?id=eq.{key}", {"body": body})
        expected = [] if key == 77 else [("notes", "update", {"id": key, "body": f"note {key}", "n": key})]
        assert [change[:3] for change in written.row_changes()] == expected
        assert [row["body"] for row in written.answer.json()] == [body] * len(expected)


async def test_patterns_and_several_rows(agent: BenchAgent) -> None:
    for pattern, keys in (("*1", [1]), ("note*", [1, 2, 3, 4, 5, 6, 7, 8, 9]), ("*%", [1, 2, 3, 4, 5, 6, 7, 8, 9])):
        written = await agent.write("PATCH", f"/notes?body=like.{pattern}&n=lt.100", {"n": 5})
        assert sorted(row["id"] for row in written.answer.json()) == keys


async def test_inserts_and_deletes(agent: BenchAgent) -> None:
    for number in (20, 21):
        written = await agent.write("POST", "/notes", {"id": number, "n": f"{number}.50"})
        assert written.row_changes() == [("notes", "insert", None, {"id": number, "body": None, "n": number + 0.5})]
        many = await agent.write("POST", "/notes", [{"id": number * 10 + n, "n": n} for n in range(number - 18)])
        assert len(many.changes) == number - 18
    for number in (20, 21):
        written = await agent.write("DELETE", f"/notes?id=eq.{number}")
        assert written.row_changes() == [("notes", "delete", {"id": number, "body": None, "n": number + 0.5}, None)]


async def test_values_of_types_whose_text_depends_on_the_session(agent: BenchAgent) -> None:
    for key, x in (("\\x00ff", 0.1), ("\\x27", 1e300)):
        await agent.write("POST", "/odd", {"id": key, "x": x})
        written = await agent.write("PATCH", f"/odd?id=eq.{key}", {"x": x / 3})
        assert written.exact() == [
            ("odd", "update", {"id": key, "x": repr(x).replace("e+", "e+")}, {"id": key, "x": repr(x / 3)})
        ]


async def test_a_body_of_another_form_is_another_shape(agent: BenchAgent) -> None:
    await agent.write("PATCH", "/notes?id=eq.1", {"body": "a"})
    written = await agent.write("PATCH", "/notes?id=eq.1", {"n": 4, "body": "b"})
    assert written.row_changes()[0][3] == {"id": 1, "body": "b", "n": 4}
    refused = await agent.http.patch(
        "/notes?id=eq.1", content=b'{"body": ', headers={"content-type": "application/json"}
    )
    assert refused.json()["code"] == "PGRST102"
    wrong = await agent.http.patch("/notes?id=eq.x", json={"body": "b"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "22P02")


async def test_who_may_write_but_not_read(bench: Bench) -> None:
    guest = await bench.agent(dbRole=GUEST)
    for number in (1, 2):
        written = await guest.write("POST", "/letters", {"id": number, "body": "x"}, prefer="return=minimal")
        assert [change["after"]["id"] for change in written.changes] == [number]


async def test_a_right_that_was_taken_away_is_gone(bench: Bench) -> None:
    guest = await bench.agent(dbRole=GUEST, maxRowsPerWrite=1)
    assert (await guest.http.patch("/notes?id=eq.1", json={"body": "a"})).is_success
    await bench.run(f"REVOKE ALL ON notes FROM {GUEST}")
    for where in ("id=eq.1", "id=gt.0"):
        refused = await guest.http.patch(f"/notes?{where}", json={"body": "b"})
        assert (refused.status_code, refused.json()["code"]) == (403, "42501")
    assert {row["body"] for row in await bench.rows("SELECT body FROM notes WHERE id = 1")} == {"a"}


async def test_a_column_that_came_is_in_the_images(bench: Bench) -> None:
    agent = await bench.agent()
    await agent.write("PATCH", "/notes?id=eq.1", {"body": "a"})
    await bench.run("ALTER TABLE notes ADD COLUMN late text DEFAULT 'here'")
    written = await agent.write("PATCH", "/notes?id=eq.2", {"body": "b"})
    assert written.changes[0]["before"]["late"] == "here"


async def test_the_row_limit_holds_for_the_second_too(bench: Bench) -> None:
    agent = await bench.agent(maxRowsPerWrite=2)
    assert (await agent.http.patch("/notes?id=lte.2", json={"body": "a"})).is_success
    refused = await agent.http.patch("/notes?id=lte.3", json={"body": "b"})
    assert (refused.status_code, refused.json()["code"]) == (403, "row_limit")
    assert await bench.rows("SELECT 1 FROM notes WHERE body = 'b'") == []


_POLICIES = f"""
    CREATE TABLE mail (id int PRIMARY KEY, owner text, body text);
    INSERT INTO mail SELECT n, CASE WHEN n % 2 = 0 THEN 'guest' ELSE 'other' END, 'mail ' || n FROM generate_series(1, 8) n;
    ALTER TABLE mail ENABLE ROW LEVEL SECURITY;
    CREATE POLICY look ON mail FOR SELECT TO {GUEST} USING (id < 8);
    CREATE POLICY put ON mail FOR INSERT TO {GUEST} WITH CHECK (true);
    CREATE POLICY change ON mail FOR UPDATE TO {GUEST} USING (owner = 'guest') WITH CHECK (body <> 'bad');
    CREATE POLICY throw ON mail FOR DELETE TO {GUEST} USING (owner = 'guest');
    GRANT ALL ON mail TO {GUEST};
"""


@pytest.fixture
async def policies(workshop: Workshop) -> Bench:
    """Who may see seven of eight rows, and change or delete the even ones."""
    return await workshop.bench(_POLICIES)


@pytest.mark.parametrize("prefer", ["return=minimal", "return=representation"])
async def test_policies_choose_the_rows(policies: Bench, prefer: str) -> None:
    guest = await policies.agent(dbRole=GUEST)
    for body in ("a", "b"):
        written = await guest.write("PATCH", "/mail?id=gt.0", {"body": body}, prefer=prefer)
        assert sorted(change["before"]["id"] for change in written.changes) == [2, 4, 6]
    for key in (1, 2, 8):
        written = await guest.write("DELETE", f"/mail?id=eq.{key}", prefer=prefer)
        assert [change["before"]["id"] for change in written.changes] == [2] * (key == 2)
    refused = await guest.http.patch("/mail?id=eq.4", json={"body": "bad"})
    assert (refused.status_code, refused.json()["code"]) == (403, "42501")


async def test_without_a_filter_only_rows_that_may_be_seen_are_changed(policies: Bench) -> None:
    """The database itself would not ask the policy for reading then. Only people may leave the filter out."""
    assert (
        await policies.person.patch(f"/api/connections/{policies.connection_id}", json={"dbRole": GUEST})
    ).is_success
    for body in ("a", "b"):
        answer = await policies.person.patch(f"/api/v/{policies.connection_id}/rest/v1/mail", json={"body": body})
        assert answer.status_code == 204
        rows = await policies.rows(f"SELECT id FROM mail WHERE body = '{body}' ORDER BY id")
        assert [row["id"] for row in rows] == [2, 4, 6]
        journal = await policies.journal(answer.headers["x-basewarden-session"])
        assert sorted(one["before"]["id"] for one in journal["mutations"][-3:]) == [2, 4, 6]


async def test_a_limit_counts_the_rows_that_may_be_changed(policies: Bench) -> None:
    guest = await policies.agent(dbRole=GUEST, maxRowsPerWrite=3)
    for body in ("a", "b"):
        written = await guest.write("PATCH", "/mail?id=gt.0", {"body": body}, prefer="return=minimal")
        assert sorted(change["before"]["id"] for change in written.changes) == [2, 4, 6]
    for low in (0, 1):
        refused = await guest.http.delete(f"/mail?id=gt.{low}")
        assert refused.json()["code"] == "row_limit"  # of a delete those that may be seen
    assert len((await guest.write("DELETE", "/mail?id=gt.4")).changes) == 1
    few = await policies.agent(dbRole=GUEST, maxRowsPerWrite=1)
    for _ in range(2):  # of 1, 2 and 3 it may delete the second alone, and looks at two of them at most
        assert (await few.http.delete("/mail?id=in.(1,3,2)")).json()["code"] == "row_limit"


async def test_a_row_that_is_out_of_sight_once_it_is_written(policies: Bench) -> None:
    guest = await policies.agent(dbRole=GUEST)
    for key in (10, 11):
        written = await guest.write("POST", "/mail", {"id": key, "owner": "guest"}, prefer="return=minimal")
        assert [change["after"]["id"] for change in written.changes] == [key]
        refused = await guest.http.post("/mail", json={"id": key + 10}, headers={"prefer": "return=representation"})
        assert refused.json()["code"] == "42501"


async def test_a_column_that_may_not_be_read_is_journaled_all_the_same(bench: Bench) -> None:
    await bench.run(f"""
        CREATE TABLE staff (id int PRIMARY KEY, name text, wage int);
        INSERT INTO staff VALUES (1, 'a', 100), (2, 'b', 200);
        GRANT SELECT (id, name), UPDATE (name) ON staff TO {GUEST};
        ALTER TABLE staff OWNER TO bench_owner;
    """)
    guest = await bench.agent(dbRole=GUEST)
    for key in (1, 2):
        written = await guest.write("PATCH", f"/staff?id=eq.{key}&select=name", {"name": "x"})
        assert written.answer.json() == [{"name": "x"}]
        assert written.changes[0]["before"]["wage"] == key * 100


@pytest.mark.parametrize("prefer", ["return=minimal", "return=representation", "return=headers-only"])
async def test_answers_of_every_kind(agent: BenchAgent, prefer: str) -> None:
    for key in (50, 60):
        made = await agent.http.post("/notes", json={"id": key, "body": "x"}, headers={"prefer": prefer})
        assert made.headers.get("location") == (f"/notes?id=eq.{key}" if prefer.endswith("headers-only") else None)
        many = await agent.write(
            "POST", "/notes", [{"id": key + n} for n in range(1, 6)], prefer=f"{prefer},count=exact"
        )
        assert many.answer.headers["content-range"] == "*/5"
        changed = await agent.write("PATCH", f"/notes?id=gte.{key}", {"n": key}, prefer=f"{prefer},count=exact")
        assert len(changed.changes) == 6
        assert changed.answer.headers["content-range"] == "0-5/6"
        gone = await agent.write("DELETE", f"/notes?id=gte.{key}&order=id", prefer=f"{prefer},count=exact")
        assert sorted(change["before"]["id"] for change in gone.changes) == list(range(key, key + 6))
        assert gone.answer.headers["content-range"] == "*/6"
        if prefer.endswith("representation"):
            assert [row["id"] for row in gone.answer.json()] == list(range(key, key + 6))
