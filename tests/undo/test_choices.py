"""Conflicts that a person settles by restoring a row over its newer values."""

from typing import Any

import httpx
import pytest

from basewarden.undo.planning.choices import MOST_CHOICES, choose_first
from basewarden.undo.recorded_writes import PAGE_ROWS
from tests.fixtures.bench import Backend, Bench, BenchAgent, Row, Workshop, on_both_backends

NOTES = """
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END';
    CREATE TABLE notes (id int PRIMARY KEY, body text, n numeric, updated_at timestamptz DEFAULT now());
    INSERT INTO notes SELECT n, 'note ' || n, 1.10 FROM generate_series(1, 9) n;
    CREATE TRIGGER stamp BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION stamp();
"""


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(NOTES)


async def request_undo(bench: Bench, session: str, mode: str = "apply", **options: Any) -> httpx.Response:
    path = f"/api/connections/{bench.connection_id}/sessions/{session}/undo"
    return await bench.person.post(path, json={"mode": mode, **options})


async def read_notes(bench: Bench, *ids: int) -> list[Row]:
    return await bench.rows(f"SELECT id, body, n::text FROM notes WHERE id = ANY ('{{{str(ids)[1:-1]}}}') ORDER BY id")


async def digest(bench: Bench) -> list[str]:
    """Without the times, which an API cannot restore where a trigger sets them."""
    return [row["row"] for row in await bench.rows("SELECT (id, body, n)::text AS row FROM notes ORDER BY id")]


async def read_conflicts(bench: Bench, session: str) -> tuple[str, dict[int, Row]]:
    preview = (await request_undo(bench, session, "preview")).json()
    return preview["previewToken"], {one["primaryKey"]["id"]: one for one in preview["conflicts"]}


async def wreck(bench: Bench, agent: BenchAgent) -> str:
    """Four rows changed and one added by the agent; then three of them, and the new one, by others."""
    session = (await agent.write("PATCH", "/notes?id=lt.5", {"body": "x", "n": "2.00"})).session_id
    await agent.write("POST", "/notes", {"id": 50, "body": "x"})
    await bench.run("UPDATE notes SET body = 'theirs ' || id WHERE id IN (1, 2, 50)")
    await bench.run("UPDATE notes SET n = 7.770 WHERE id IN (2, 3)")
    return session


@on_both_backends
async def test_a_chosen_row_is_restored_and_its_newer_values_come_back(
    bench: Bench, agent: BenchAgent, backend: Backend
) -> None:
    session = await wreck(bench, agent)
    left = await digest(bench)
    token, conflicts = await read_conflicts(bench, session)
    assert set(conflicts) == {1, 2, 3, 50}
    choices = {conflicts[1]["id"]: "keep", conflicts[2]["id"]: "restore", conflicts[50]["id"]: "restore"}
    preview = (await request_undo(bench, session, "preview", choices=choices)).json()
    assert preview["previewToken"] == token
    assert [one["primaryKey"]["id"] for one in preview["overwritten"]] == [2, 50]
    assert await digest(bench) == left

    refused = await request_undo(bench, session, choices=choices, previewToken=token)
    assert refused.status_code == 409
    assert [one["primaryKey"]["id"] for one in refused.json()["details"]["conflicts"]] == [1, 3]
    assert await digest(bench) == left

    receipt = (await request_undo(bench, session, onConflict="skip", previewToken=token, choices=choices)).json()
    assert (receipt["planned"], receipt["reverted"], receipt["skipped"]) == (5, 3, 2)
    (changed, deleted) = receipt["overwritten"]
    body, number = changed["columns"]
    assert (body["name"], body["before"], body["session"], body["now"]) == ("body", "note 2", "x", "theirs 2")
    assert (number["name"], float(number["before"]), float(number["now"])) == ("n", 1.10, 7.770)
    assert deleted["primaryKey"] == {"id": 50}
    assert [tuple(row.values()) for row in await read_notes(bench, 1, 2, 3, 4, 50)] == [
        (1, "theirs 1", "2.00"),
        (2, "note 2", "1.10"),
        (3, "x", "7.770"),
        (4, "note 4", "1.10"),
    ]
    again = await request_undo(bench, receipt["undoSessionId"])
    assert again.status_code == 200, again.text
    assert again.json()["reverted"] == 3
    assert await digest(bench) == left


async def test_the_stored_receipt_lists_what_was_overwritten(bench: Bench, agent: BenchAgent) -> None:
    session = await wreck(bench, agent)
    _, conflicts = await read_conflicts(bench, session)
    choices = {conflicts[number]["id"]: "restore" for number in (2, 50)}
    undo = (await request_undo(bench, session, onConflict="skip", choices=choices)).json()["undoSessionId"]
    path = f"/api/connections/{bench.connection_id}/undos/{undo}/receipt.json"
    file = (await bench.person.get(path)).json()
    (changed, deleted) = file["overwritten"]
    assert (changed["primaryKey"], changed["columns"]) == (
        {"id": 2},
        [
            {"name": "body", "newer": "theirs 2", "restored": "note 2"},
            {"name": "n", "newer": "7.770", "restored": "1.10"},
        ],
    )
    assert deleted["primaryKey"] == {"id": 50}
    assert deleted["columns"][0] == {"name": "body", "newer": "theirs 50", "restored": None}
    page = (await bench.person.get(f"/c/{bench.connection_id}/undos/{undo}")).text
    assert "2 newer edits overwritten" in page
    assert "theirs 2" in page
    assert "Restore anyway…" in page


async def test_the_receipt_file_has_long_values_whole_and_all_rows(bench: Bench, agent: BenchAgent) -> None:
    """More rows than are read at once, one of them so long that a page shortens its values."""
    await bench.run(f"INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(10, {PAGE_ROWS + 20}) n")
    session = (await agent.write("PATCH", "/notes?id=gt.0", {"body": "x"})).session_id
    await bench.run("UPDATE notes SET body = CASE id WHEN 7 THEN repeat('long ü ', 2000) ELSE 'theirs' END")
    _, conflicts = await read_conflicts(bench, session)
    choices = {one["id"]: "restore" for one in conflicts.values()}
    undo = (await request_undo(bench, session, choices=choices)).json()["undoSessionId"]
    file = (await bench.person.get(f"/api/connections/{bench.connection_id}/undos/{undo}/receipt.json")).json()
    columns = {row["primaryKey"]["id"]: row["columns"] for row in file["overwritten"]}
    assert set(columns) == set(range(1, PAGE_ROWS + 21))
    assert columns[7] == [{"name": "body", "newer": "long ü " * 2000, "restored": "note 7"}]
    assert columns[PAGE_ROWS + 20][0] == {"name": "body", "newer": "theirs", "restored": f"note {PAGE_ROWS + 20}"}
    page = (await bench.person.get(f"/c/{bench.connection_id}/undos/{undo}")).text
    assert f"{PAGE_ROWS + 20} newer edits overwritten" in page
    assert "long ü " * 2000 not in page


@on_both_backends
async def test_a_row_that_changed_again_since_the_preview_is_kept(
    bench: Bench, agent: BenchAgent, backend: Backend
) -> None:
    session = await wreck(bench, agent)
    token, conflicts = await read_conflicts(bench, session)
    choices = {conflicts[number]["id"]: "restore" for number in (1, 2, 50)}
    await bench.run("UPDATE notes SET body = 'mine' WHERE id = 1")
    await bench.run("UPDATE notes SET n = 8 WHERE id = 2")
    receipt = (await request_undo(bench, session, onConflict="skip", previewToken=token, choices=choices)).json()
    assert [one["primaryKey"]["id"] for one in receipt["overwritten"]] == [50]
    reasons = {one["primaryKey"]["id"]: one["reason"] for one in receipt["conflicts"]}
    assert reasons[1].endswith("The row was changed again after the preview, so it was not restored.")
    assert reasons[2].endswith("The row was changed again after the preview, so it was not restored.")
    assert "again" not in reasons[3]
    assert [row["body"] for row in await read_notes(bench, 1, 2)] == ["mine", "theirs 2"]


async def test_a_choice_holds_for_its_own_row_only(bench: Bench, agent: BenchAgent) -> None:
    session = await wreck(bench, agent)
    left = await digest(bench)
    _, conflicts = await read_conflicts(bench, session)
    row, state = conflicts[1]["id"].split("."), conflicts[2]["id"].split(".")
    choices = {f"{row[0]}.{state[1]}": "restore", "nonsense": "restore", conflicts[3]["id"]: "keep"}
    receipt = (await request_undo(bench, session, onConflict="skip", choices=choices)).json()
    assert (receipt["overwritten"], receipt["skipped"]) == ([], 4)
    assert [row for row in await digest(bench) if not row.startswith("(4,")] == [
        row for row in left if not row.startswith("(4,")
    ]
    for wrong in ({"choices": {"a": "force"}}, {"choices": ["a"]}, {"choices": {"a" * 101: "restore"}}):
        assert (await request_undo(bench, session, **wrong)).status_code == 422


async def test_conflicts_without_newer_values_have_no_choice(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("DELETE", "/notes?id=in.(1,2)")).session_id
    await agent.write("PATCH", "/notes?id=eq.3", {"body": "x"})
    await bench.run("INSERT INTO notes VALUES (1, 'taken')")
    await bench.run("DELETE FROM notes WHERE id = 3")
    _, conflicts = await read_conflicts(bench, session)
    assert {number: one["id"] for number, one in conflicts.items()} == {1: None, 3: None}


async def test_what_triggers_set_is_restored_with_the_row(bench: Bench, agent: BenchAgent) -> None:
    """Unless it belongs to a newer edit of another column, too."""
    rows = "SELECT t::text AS row FROM notes t WHERE id < 3 ORDER BY id"
    before = await bench.rows(rows)
    session = (await agent.write("PATCH", "/notes?id=lt.3", {"body": "x"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs' WHERE id < 3")
    await bench.run("UPDATE notes SET n = 2 WHERE id = 2")
    left = await bench.rows(rows)
    _, conflicts = await read_conflicts(bench, session)
    choices = {one["id"]: "restore" for one in conflicts.values()}
    receipt = (await request_undo(bench, session, choices=choices)).json()
    first, second = await bench.rows(rows)
    assert first == before[0]
    assert second["row"] == left[1]["row"].replace("theirs", '"note 2"')
    assert (await request_undo(bench, receipt["undoSessionId"])).status_code == 200
    assert await bench.rows(rows) == left


async def test_all_that_a_choice_overwrites_is_shown(bench: Bench, agent: BenchAgent) -> None:
    """An edit between two of the session's writes, and another one after them."""
    session = (await agent.write("PATCH", "/notes?id=eq.1", {"body": "x", "n": "2.00"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs' WHERE id = 1")
    await agent.write("PATCH", "/notes?id=eq.1", {"body": "y"})
    await bench.run("UPDATE notes SET n = 9 WHERE id = 1")
    _, conflicts = await read_conflicts(bench, session)
    assert {column["name"] for column in conflicts[1]["columns"]} == {"body", "n"}


async def test_a_row_that_has_its_earlier_values_again_is_no_conflict(bench: Bench, agent: BenchAgent) -> None:
    """Others changed it between two of the session's writes, and set it back: nothing is lost by restoring the rest."""
    rows = "SELECT t::text AS row FROM notes t WHERE id < 3 ORDER BY id"
    session = (await agent.write("PATCH", "/notes?id=lt.3", {"body": "x", "n": "2.00"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs' WHERE id < 3")
    await agent.write("PATCH", "/notes?id=lt.3", {"body": "y"})
    await bench.run("UPDATE notes SET body = 'note ' || id, n = CASE id WHEN 1 THEN 1.10 ELSE n END WHERE id < 3")
    left = await bench.rows(rows)
    _, conflicts = await read_conflicts(bench, session)
    assert conflicts == {}
    receipt = (await request_undo(bench, session)).json()
    assert (receipt["alreadyAsBefore"], receipt["reverted"], receipt["overwritten"]) == (1, 1, [])
    assert await bench.rows(rows) == [left[0], {"row": left[1]["row"].replace("2.00", "1.10")}]


async def test_a_value_that_a_trigger_derives_is_shown_where_another_edit_has_set_it(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE FUNCTION slug() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN NEW.slug := lower(NEW.title); RETURN NEW; END';
        CREATE TABLE pages (id int PRIMARY KEY, title text, slug text);
        INSERT INTO pages VALUES (1, 'First', 'first');
        CREATE TRIGGER slug BEFORE UPDATE OF title ON pages FOR EACH ROW EXECUTE FUNCTION slug();
    """)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/pages?id=eq.1", {"title": "Bot"})).session_id
    await bench.run("UPDATE pages SET title = 'Theirs' WHERE id = 1")
    await bench.run("UPDATE pages SET slug = 'custom' WHERE id = 1")
    _, conflicts = await read_conflicts(bench, session)
    assert {column["name"] for column in conflicts[1]["columns"]} == {"title", "slug"}


@on_both_backends
async def test_a_chosen_row_takes_no_reference_to_its_generated_value_away(
    workshop: Workshop, backend: Backend
) -> None:
    bench = await workshop.bench("""
        CREATE TABLE pages (id int PRIMARY KEY, title text, note text,
            slug text GENERATED ALWAYS AS (lower(title)) STORED UNIQUE);
        CREATE TABLE links (id int PRIMARY KEY, slug text REFERENCES pages (slug) ON UPDATE SET NULL);
        INSERT INTO pages VALUES (1, 'First'), (2, 'Second');
    """)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/pages?id=eq.1", {"title": "Bot"})).session_id
    await agent.write("PATCH", "/pages?id=eq.2", {"title": "Bot 2"})
    await bench.run("UPDATE pages SET title = 'Theirs ' || id, note = 'mine'")
    await bench.run("INSERT INTO links VALUES (1, 'theirs 1')")
    token, conflicts = await read_conflicts(bench, session)
    choices = {one["id"]: "restore" for one in conflicts.values()}
    receipt = (await request_undo(bench, session, onConflict="skip", previewToken=token, choices=choices)).json()
    assert [one["primaryKey"]["id"] for one in receipt["overwritten"]] == [2]
    assert [one["reason"] for one in receipt["conflicts"]] == ["1 row of public.links refer to it now."]
    assert await bench.rows("SELECT slug FROM links") == [{"slug": "theirs 1"}]
    assert [row["title"] for row in await bench.rows("SELECT title FROM pages ORDER BY id")] == ["Theirs 1", "Second"]


async def test_the_receipt_lists_rows_whose_key_json_writes_otherwise(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE readings (id int, at timestamp, body text, PRIMARY KEY (id, at));
        INSERT INTO readings VALUES (1, '2026-01-02 03:04:05', 'a');
    """)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/readings?id=eq.1", {"body": "x"})).session_id
    await bench.run("UPDATE readings SET body = 'theirs'")
    token, conflicts = await read_conflicts(bench, session)
    options: dict[str, Any] = {"previewToken": token, "onConflict": "skip", "choices": {conflicts[1]["id"]: "restore"}}
    undo = (await request_undo(bench, session, **options)).json()["undoSessionId"]
    receipt = (await bench.person.get(f"/api/connections/{bench.connection_id}/undos/{undo}/receipt.json")).json()
    assert [row["columns"] for row in receipt["overwritten"]] == [
        [{"name": "body", "newer": "theirs", "restored": "a"}]
    ]


async def test_a_form_that_is_not_understood_shows_the_preview_and_changes_nothing(
    bench: Bench, agent: BenchAgent
) -> None:
    session = (await agent.write("PATCH", "/notes?id=eq.1", {"body": "x"})).session_id
    path = f"/c/{bench.connection_id}/sessions/{session}/undo"
    for form in ({"all": "x"}, {"show": "0"}, {"previewToken": "9" * 5000}, {"onConflict": "?"}):
        page = await bench.person.post(path, data=form, headers={"origin": str(bench.person.base_url).rstrip("/")})
        assert page.status_code == 200, form
        assert "Nothing has been changed yet." in page.text
    assert [row["body"] for row in await read_notes(bench, 1, 2)] == ["x", "note 2"]


async def test_more_choices_than_one_undo_may_have_are_refused_by_the_api_and_the_page(
    bench: Bench, agent: BenchAgent
) -> None:
    session = (await agent.write("PATCH", "/notes?id=eq.1", {"body": "x"})).session_id
    ids = [f"{number:012}.{number:020}" for number in range(MOST_CHOICES + 1)]
    message = "One undo can restore at most 2,000 rows over newer values. Choose fewer, then undo again."
    refused = await request_undo(bench, session, choices=dict.fromkeys(ids, "restore"))
    assert (refused.status_code, refused.json()["message"]) == (422, message)
    path = f"/c/{bench.connection_id}/sessions/{session}/undo"
    form = {"restored": " ".join(ids[2:]), f"choice-{ids[0]}": "restore", f"choice-{ids[1]}": "restore"}
    page = await bench.person.post(path, data=form, headers={"origin": str(bench.person.base_url).rstrip("/")})
    assert (page.status_code, message in page.text) == (422, True)
    assert "Nothing has been changed yet." in page.text
    assert [row["body"] for row in await read_notes(bench, 1, 2)] == ["x", "note 2"]
    enough = {**dict.fromkeys(ids[1:], "restore"), ids[0]: "keep"}
    assert (await request_undo(bench, session, choices=enough)).status_code == 200


def test_the_first_conflicts_of_the_page_are_chosen_where_there_are_too_many() -> None:
    ids = [None, *(str(number) for number in range(MOST_CHOICES + 2))]
    assert choose_first(ids).restored == {str(number) for number in range(MOST_CHOICES)}
