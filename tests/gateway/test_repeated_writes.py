"""Writes of one shape, one after another: the second is not planned, and must be as right as the first."""

import pytest

from tests.fixtures.bench import GUEST, Agent, Bench, Workshop

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
async def agent(request: pytest.FixtureRequest, bench: Bench) -> Agent:
    return await bench.agent(dbRole=request.param)


async def test_updates_with_other_values(agent: Agent) -> None:
    for key, body in ((1, "one"), (2, "two"), (3, None), (77, "nobody")):
        written = await agent.write("PATCH", f"/notes?id=eq.{key}", {"body": body})
        told = [] if key == 77 else [("notes", "update", {"id": key, "body": f"note {key}", "n": key})]
        assert [change[:3] for change in written.told()] == told
        assert [row["body"] for row in written.answer.json()] == [body] * len(told)


async def test_patterns_and_several_rows(agent: Agent) -> None:
    for pattern, keys in (("*1", [1]), ("note*", [1, 2, 3, 4, 5, 6, 7, 8, 9]), ("*%", [1, 2, 3, 4, 5, 6, 7, 8, 9])):
        written = await agent.write("PATCH", f"/notes?body=like.{pattern}&n=lt.100", {"n": 5})
        assert sorted(row["id"] for row in written.answer.json()) == keys


async def test_inserts_and_deletes(agent: Agent) -> None:
    for number in (20, 21):
        written = await agent.write("POST", "/notes", {"id": number, "n": f"{number}.50"})
        assert written.told() == [("notes", "insert", None, {"id": number, "body": None, "n": number + 0.5})]
        many = await agent.write("POST", "/notes", [{"id": number * 10 + n, "n": n} for n in range(number - 18)])
        assert len(many.changes) == number - 18
    for number in (20, 21):
        written = await agent.write("DELETE", f"/notes?id=eq.{number}")
        assert written.told() == [("notes", "delete", {"id": number, "body": None, "n": number + 0.5}, None)]


async def test_values_of_types_whose_text_depends_on_the_session(agent: Agent) -> None:
    for key, x in (("\\x00ff", 0.1), ("\\x27", 1e300)):
        await agent.write("POST", "/odd", {"id": key, "x": x})
        written = await agent.write("PATCH", f"/odd?id=eq.{key}", {"x": x / 3})
        assert written.exact() == [
            ("odd", "update", {"id": key, "x": repr(x).replace("e+", "e+")}, {"id": key, "x": repr(x / 3)})
        ]


async def test_a_body_of_another_form_is_another_shape(agent: Agent) -> None:
    await agent.write("PATCH", "/notes?id=eq.1", {"body": "a"})
    written = await agent.write("PATCH", "/notes?id=eq.1", {"n": 4, "body": "b"})
    assert written.told()[0][3] == {"id": 1, "body": "b", "n": 4}
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
    assert (refused.status_code, refused.json()["code"]) == (400, "row_limit")
    assert await bench.rows("SELECT 1 FROM notes WHERE body = 'b'") == []
