"""The pages of an undo: list, session, preview, form, receipt."""

import re

import httpx
import pytest

from tests.fixtures.bench import Bench, BenchAgent, Workshop

NOTES = """
    CREATE TABLE notes (id int PRIMARY KEY, body text, n numeric);
    CREATE TABLE replies (id int PRIMARY KEY, note_id int CONSTRAINT of_note REFERENCES notes ON DELETE CASCADE);
    INSERT INTO notes SELECT n, 'note ' || n, 1.10 FROM generate_series(1, 60) n;
    INSERT INTO replies SELECT n, n FROM generate_series(1, 60) n;
"""


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(NOTES)


@pytest.fixture
async def agent(bench: Bench) -> BenchAgent:
    return await bench.agent(maxRowsPerWrite=1000)


async def open_page(bench: Bench, path: str = "", status: int = 200) -> str:
    answer = await bench.person.get(f"/c/{bench.connection_id}/sessions{path}")
    assert answer.status_code == status, answer.text
    return answer.text


async def request_undo(bench: Bench, session: str, **form: str) -> httpx.Response:
    path = f"/c/{bench.connection_id}/sessions/{session}/undo"
    return await bench.person.post(path, data=form, follow_redirects=True)


async def test_an_empty_list_explains_how_to_begin(bench: Bench) -> None:
    page = await open_page(bench)
    assert "No sessions yet" in page
    assert f"/c/{bench.connection_id}/agents" in page
    assert "No sessions in this state" in await open_page(bench, "?status=undone")
    await open_page(bench, "?status=nonsense", 422)


async def test_from_the_list_to_the_receipt(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=lt.3", {"body": "<b>wrecked</b>"})).session_id
    await agent.write("DELETE", "/notes?id=eq.9")
    assert f"/sessions/{session}" in await open_page(bench)
    page = await open_page(bench, f"/{session}")
    assert "&lt;b&gt;wrecked&lt;/b&gt;" in page
    assert "<b>wrecked" not in page
    assert "by of_note" in page
    assert "1.10" in page
    preview = await open_page(bench, f"/{session}/undo")
    assert "Nothing has been changed yet" in preview
    assert "Undo 4 rows" in preview
    receipt = await request_undo(bench, session)
    assert receipt.status_code == 200
    assert ">Receipt</h2>" in receipt.text
    assert f"/sessions/{session}" in receipt.text
    assert len(await bench.rows("SELECT * FROM notes WHERE body LIKE 'note%'")) == 60
    assert "Undone by" in await open_page(bench, f"/{session}")
    assert "This session is already undone" in await open_page(bench, f"/{session}/undo", 409)


async def test_conflicts_are_shown_and_can_be_left(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=lt.4", {"body": "x"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs' WHERE id = 2")
    preview = await open_page(bench, f"/{session}/undo")
    assert "changed after the session" in preview
    assert "Undo 2 rows, keep 1 newer edit" in preview
    assert 'name="onConflict" value="skip"' in preview
    assert 'data-label="Reverted" class="is-number">2<' in preview
    refused = await request_undo(bench, session, onConflict="refuse")
    assert refused.status_code == 422
    assert "Nothing was changed" in refused.text
    assert ">Receipt</h2>" in (await request_undo(bench, session, onConflict="skip")).text
    assert [row["body"] for row in await bench.rows("SELECT body FROM notes WHERE id < 4 ORDER BY id")] == [
        "note 1",
        "theirs",
        "note 3",
    ]


async def test_a_long_write_is_folded_and_paged(bench: Bench, agent: BenchAgent) -> None:
    written = await agent.write("PATCH", "/notes?id=gt.0", {"body": "x"})
    page = await open_page(bench, f"/{written.session_id}")
    assert page.count('class="entry"') == 10
    assert ">50 more rows<" in page
    write = written.changes[0]["writeId"]
    after = written.changes[9]["position"]
    assert f"?write={write}&amp;after={after}" in page
    rest = await open_page(bench, f"/{written.session_id}?write={write}&after={after}")
    assert rest.count('class="entry"') == 50
    assert f'href="/c/{bench.connection_id}/sessions/{written.session_id}?write={write}"' in rest
    assert (await open_page(bench, f"/{written.session_id}?write={write}")).count('class="entry"') == 60
    await open_page(bench, f"/{written.session_id}?write={written.session_id}", 404)
    await open_page(bench, f"/{written.session_id}?after=nonsense", 404)


async def test_a_stranger_finds_nothing(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=eq.1", {"body": "x"})).session_id
    stranger = await bench.product.sign_up(f"{session}@example.com")
    for path in ("", f"/{session}", f"/{session}/undo"):
        assert (await stranger.get(f"/c/{bench.connection_id}/sessions{path}")).status_code == 404
    assert (await stranger.post(f"/c/{bench.connection_id}/sessions/{session}/undo")).status_code == 404


async def test_a_press_does_only_what_was_previewed(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=eq.1", {"body": "x"})).session_id
    preview = await open_page(bench, f"/{session}/undo")
    assert "Undo 1 row<" in preview
    (token,) = re.findall(r'name="previewToken" value="([^"]+)"', preview)
    await agent.write("PATCH", "/notes?id=eq.2", {"body": "x"})
    stale = await request_undo(bench, session, previewToken=token)
    assert stale.status_code == 422
    assert "1 more write arrived since the preview" in stale.text
    assert "Undo 2 rows" in stale.text
    assert {row["body"] for row in await bench.rows("SELECT body FROM notes WHERE id < 3")} == {"x"}
    (token,) = re.findall(r'name="previewToken" value="([^"]+)"', stale.text)
    assert (
        "Done. This undo is a session and can be undone too."
        in (await request_undo(bench, session, previewToken=token)).text
    )


async def test_a_press_that_finds_nothing_to_do_says_so(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=lt.4", {"body": "x"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs' WHERE id = 2")
    await request_undo(bench, session, onConflict="skip")
    preview = await open_page(bench, f"/{session}/undo")
    assert "2 rows already restored. 1 conflict remains." in preview
    assert "keep 1 newer edit" not in preview
    again = await request_undo(bench, session, onConflict="skip")
    assert "2 rows already restored. 1 conflict remains. Nothing was changed." in again.text
    assert "Done." not in again.text


async def test_an_undone_undo_does_not_say_that_it_can_be_undone(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=eq.1", {"body": "x"})).session_id
    undo = (await request_undo(bench, session)).url.path.rpartition("/")[2]
    assert "can be undone too" in await open_page(bench, f"/{undo}")
    await request_undo(bench, undo)
    assert "can be undone too" not in await open_page(bench, f"/{undo}")
