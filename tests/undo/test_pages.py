"""The pages of an undo: list, session, preview, form, receipt."""

import re

import httpx
import psycopg
import pytest

from tests.fixtures.bench import Backend, Bench, BenchAgent, Workshop, on_both_backends

NOTES = """
    CREATE TABLE notes (id int PRIMARY KEY, body text, n numeric);
    CREATE TABLE replies (id int PRIMARY KEY, note_id int CONSTRAINT of_note REFERENCES notes ON DELETE CASCADE);
    INSERT INTO notes SELECT n, 'note ' || n, 1.10 FROM generate_series(1, 60) n;
    INSERT INTO replies SELECT n, n FROM generate_series(1, 60) n;
"""


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await workshop.bench(NOTES)


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
    assert "<h1>Undo 4 rows</h1>" in preview
    assert "&lt;b&gt;wrecked&lt;/b&gt;" in preview
    assert "<b>wrecked" not in preview
    assert "note 1</ins>" in preview
    receipt = await request_undo(bench, session)
    assert receipt.status_code == 200
    assert "/undos/" in receipt.url.path
    assert "<h1>4 rows are as they were</h1>" in receipt.text
    assert f"/sessions/{session}" in receipt.text
    assert len(await bench.rows("SELECT * FROM notes WHERE body LIKE 'note%'")) == 60
    assert "Undone by" in await open_page(bench, f"/{session}")
    assert "This session is already undone" in await open_page(bench, f"/{session}/undo", 409)


async def test_conflicts_are_shown_and_can_be_left(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=lt.4", {"body": "x"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs' WHERE id = 2")
    preview = await open_page(bench, f"/{session}/undo")
    assert "was changed after the session" not in preview  # the values say it
    assert "Undo 2 rows, keep 1 newer edit" in preview
    assert 'id="conflicts-more" hidden' in preview
    assert ">theirs</b>" not in await open_page(bench, f"/{session}/undo?conflicts=1")
    assert 'name="onConflict" value="skip"' in preview
    for value in (">note 2</td>", ">x</del>", ">theirs</b>"):
        assert value in preview
    assert "changed outside Basewarden" in preview
    assert "2 rows get their values back" in preview
    refused = await request_undo(bench, session, onConflict="refuse")
    assert refused.status_code == 422
    assert "Nothing was changed" in refused.text
    receipt = (await request_undo(bench, session, onConflict="skip")).text
    assert "<h1>2 rows are as they were</h1>" in receipt
    assert "1 row keeps a newer edit." in receipt
    assert "1 table, in one transaction." in receipt
    assert '<del class="change-old">x</del>' in receipt
    assert "changed outside Basewarden" in receipt
    assert "1 row kept" in receipt
    assert [row["body"] for row in await bench.rows("SELECT body FROM notes WHERE id < 4 ORDER BY id")] == [
        "note 1",
        "theirs",
        "note 3",
    ]


async def test_each_conflict_has_a_choice_that_the_form_keeps(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=lt.9", {"body": "x"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs ' || id WHERE id < 8")
    preview = await open_page(bench, f"/{session}/undo")
    assert "Undo 1 row, keep 7 newer edits" in preview
    ids = re.findall(r'name="choice-([^"]+)" value="restore"><span>Restore<', preview)
    assert len(ids) == 5  # the others follow
    later = await open_page(bench, f"/{session}/undo?conflicts=5")
    ids += re.findall(r'name="choice-([^"]+)" value="restore"><span>Restore<', later)
    assert len(set(ids)) == 7
    (token,) = re.findall(r'name="previewToken" value="([^"]+)"', preview)

    everything = (await request_undo(bench, session, previewToken=token, all="restore")).text
    assert ">Undo 8 rows<" in everything
    assert f'name="restored" form="undo-form" value="{" ".join(ids[5:])}"' in everything
    assert everything.count('value="restore" checked') == 5
    assert ">Undo 1 row, keep 7 newer edits<" in (await request_undo(bench, session, all="keep")).text
    more = (await request_undo(bench, session, show="55", **{f"choice-{ids[6]}": "restore"})).text
    assert ">Undo 2 rows, keep 6 newer edits<" in more
    assert f'name="choice-{ids[6]}" value="restore" checked' in more
    assert "Nothing was changed" not in more
    assert {row["body"] for row in await bench.rows("SELECT body FROM notes WHERE id = 8")} == {"x"}

    form = {f"choice-{ids[0]}": "restore", f"choice-{ids[1]}": "keep", f"choice-{ids[5]}": "keep"}
    receipt = await request_undo(
        bench, session, previewToken=token, onConflict="skip", restored=" ".join(ids[5:]), **form
    )
    assert "3 rows are as they were" in receipt.text
    assert "2 newer edits were overwritten, as chosen." in receipt.text
    assert [row["body"] for row in await bench.rows("SELECT body FROM notes WHERE id < 9 ORDER BY id")] == [
        "note 1",
        *(f"theirs {number}" for number in range(2, 7)),
        "note 7",
        "note 8",
    ]
    assert "5 rows kept" in receipt.text
    assert "was changed after the session" not in receipt.text
    rest = (await bench.person.get(f"{receipt.url.path}?kept=2")).text
    shown = [f">{number}</a>" in rest for number in range(1, 8)]
    assert shown == [False, False, False, True, True, True, False]
    assert "note 8" not in rest
    (again,) = re.findall(r'href="([^"]+)">(?:<[^>]+>)*Restore anyway…', receipt.text)
    rest = (await bench.person.get(again)).text
    assert "5 newer edits: nothing to undo unless you choose" in rest
    assert rest.count('value="restore">') == 5
    assert "3 rows are restored already." in rest
    assert "Nothing left to restore" not in rest
    assert "Undo 0 rows" in rest


async def test_a_long_write_is_folded_and_paged(bench: Bench, agent: BenchAgent) -> None:
    written = await agent.write("PATCH", "/notes?id=gt.0", {"body": "x"})
    page = await open_page(bench, f"/{written.session_id}")
    assert page.count('class="entry"') == 10
    assert ">Show 50 more<" in page
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
    assert "<h1>Undo 1 row</h1>" in preview
    (token,) = re.findall(r'name="previewToken" value="([^"]+)"', preview)
    await agent.write("PATCH", "/notes?id=eq.2", {"body": "x"})
    stale = await request_undo(bench, session, previewToken=token)
    assert stale.status_code == 422
    assert "1 more write arrived since the preview" in stale.text
    assert "Undo 2 rows" in stale.text
    assert {row["body"] for row in await bench.rows("SELECT body FROM notes WHERE id < 3")} == {"x"}
    (token,) = re.findall(r'name="previewToken" value="([^"]+)"', stale.text)
    assert "2 rows are as they were" in (await request_undo(bench, session, previewToken=token)).text


async def test_a_press_that_finds_nothing_to_do_says_so(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=lt.4", {"body": "x"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs' WHERE id = 2")
    await request_undo(bench, session, onConflict="skip")
    preview = await open_page(bench, f"/{session}/undo")
    assert "2 rows are restored already." in preview
    assert "1 newer edit: nothing to undo unless you choose" in preview
    assert "keep 1 newer edit" not in preview
    again = await request_undo(bench, session, onConflict="skip")
    assert "Nothing was changed" in again.text
    assert "2 rows are restored already. 1 row keeps a newer edit." in again.text
    assert "as they were" not in again.text


async def test_an_undone_undo_offers_no_redo(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=eq.1", {"body": "x"})).session_id
    first = await request_undo(bench, session)
    undo = first.url.path.rpartition("/")[2]
    assert ">Redo…</span>" in first.text
    assert (
        f'href="/c/{bench.connection_id}/sessions/{undo}/undo"' in first.text
    )  # its preview: one press repeats nothing
    again = await request_undo(bench, undo)
    assert "1 row has its changes again" in again.text
    assert ">Undo…</span>" in again.text
    assert again.url.path != first.url.path
    undone = (await bench.person.get(f"/c/{bench.connection_id}/undos/{undo}")).text
    assert ">Redo…</span>" not in undone
    assert "Redone" in undone
    assert again.url.path in undone


async def test_one_write_is_previewed_and_undone(bench: Bench, agent: BenchAgent) -> None:
    first = await agent.write("PATCH", "/notes?id=lt.3", {"body": "x"})
    await agent.write("PATCH", "/notes?id=eq.9", {"body": "x"})
    write = first.changes[0]["writeId"]
    path = f"/c/{bench.connection_id}/sessions/{first.session_id}/undo?write={write}"
    preview = (await bench.person.get(path)).text
    assert "<h1>Undo 1 write: changed 2 notes</h1>" in preview
    assert "<span>Undo 2 rows</span>" in preview
    assert f'action="{path}"' in preview
    receipt = await bench.person.post(path, follow_redirects=True)
    assert "2 rows are as they were" in receipt.text
    again = await bench.person.post(path)
    assert again.status_code == 422
    assert "These writes are already undone." in again.text
    assert receipt.url.path in again.text
    assert (await bench.person.get(path.replace(write, first.session_id))).status_code == 404


async def test_a_long_table_continues_exactly_after_the_last_row_shown(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=gt.0", {"body": "x"})).session_id
    preview = await open_page(bench, f"/{session}/undo")
    names = [f"note {number}</ins>" for number in range(1, 61)]
    assert [name in preview for name in names] == [True] * 5 + [False] * 55
    assert ">Show 50 more of 55</a>" in preview
    (more,) = re.findall(r' href="([^"]*start=5)"', preview)
    rest = (await bench.person.get(more.replace("&amp;", "&"))).text
    assert [name in rest for name in names] == [False] * 5 + [True] * 50 + [False] * 5
    assert "From row 6 on" in rest
    assert ">Show 5 more</a>" in rest


async def test_rows_have_their_labels_and_hostile_values_stay_text(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE makers (id int PRIMARY KEY, name text);
        CREATE TABLE goods (id int PRIMARY KEY, maker_id int REFERENCES makers, note text);
        INSERT INTO makers VALUES (1, '<i>Ada & Co</i>');
        INSERT INTO goods VALUES (7, 1, 'fine');
    """)
    agent = await bench.agent()
    hostile = "<script>alert(1)</script>\u202e\u0007\n" + "y" * 5000
    session = (await agent.write("PATCH", "/goods?id=eq.7", {"note": hostile})).session_id
    page = await open_page(bench, f"/{session}/undo")
    assert "&lt;i&gt;Ada &amp; Co&lt;/i&gt;" in page
    assert "<script>alert" not in page
    assert "\u202e" not in page
    assert "y" * 200 not in page
    assert "fine</ins>" in page
    for path in (f"/{session}", f"/{session}/undo"):
        shown = await open_page(bench, path)
        assert "&lt;i&gt;Ada &amp; Co&lt;/i&gt;" in shown, path
        assert "<i>Ada" not in shown
    receipt = await request_undo(bench, session)
    assert '&lt;i&gt;Ada &amp; Co&lt;/i&gt;</a> <span class="entry-key">7</span>' in receipt.text
    assert "<i>Ada" not in receipt.text


async def test_a_receipt_names_rows_as_the_preview_did(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE people (id int PRIMARY KEY, full_name text);
        CREATE TABLE homes (id int PRIMARY KEY, person_id int REFERENCES people ON DELETE CASCADE, postal_code text);
        CREATE TABLE cars (id int PRIMARY KEY, person_id int REFERENCES people ON DELETE CASCADE, plate text);
        INSERT INTO people VALUES (1, 'Marco Werner');
        INSERT INTO homes VALUES (23, 1, '50176');
        INSERT INTO cars VALUES (4, 1, 'K-1');
    """)
    agent = await bench.agent()
    session = (await agent.write("DELETE", "/people?id=eq.1")).session_id
    preview = await open_page(bench, f"/{session}/undo")
    receipt = (await request_undo(bench, session)).text
    for page in (preview, receipt):
        assert re.search(r'Marco Werner(</a>)? <span class="entry-key">23<', page)
        assert 'title="1">Marco Werner</span>' in page
        assert page.index(">people</h2>") < page.index(">By foreign keys</h2>") < page.index(">cars</h2>")
        assert page.count('<details class="card diff-card" open>') == 1
    assert "in 2 tables" in preview


async def test_newer_edits_of_one_session_are_said_with_what_restores_over_them(
    bench: Bench, agent: BenchAgent
) -> None:
    first = (await agent.write("PATCH", "/notes?id=lt.4", {"body": "x"})).session_id
    again = {"x-basewarden-session": "again"}
    second = (await agent.write("PATCH", "/notes?id=lt.4", {"body": "y"}, headers=again)).session_id
    preview = await open_page(bench, f"/{first}/undo")
    assert "3 newer edits: nothing to undo unless you choose" in preview
    assert "3 rows were written by" in preview
    assert f'href="/c/{bench.connection_id}/sessions/{second}"' in preview
    assert "Choose <i>Restore</i> to set them back" in preview
    assert "Undo that session first" not in preview  # what is chosen here restores them, in any order of undos
    assert preview.count("data-chip=") == 0  # a single table needs no jump
    page = await open_page(bench, f"/{first}")
    assert page.count('set <b class="data">y</b> afterwards') == 6
    await request_undo(bench, second)
    assert "Undo 3 rows" in await open_page(bench, f"/{first}/undo")
    assert " afterwards" not in await open_page(bench, f"/{first}")


async def test_rows_keep_their_keys_for_names_where_the_project_does_not_answer(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE makers (id int PRIMARY KEY, name text);
        CREATE TABLE goods (id int PRIMARY KEY, maker_id int REFERENCES makers, note text);
        INSERT INTO makers VALUES (1, 'Ada');
        INSERT INTO goods VALUES (7, 1, 'fine');
    """)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/goods?id=eq.7", {"note": "x"})).session_id
    assert ">Ada <" in await open_page(bench, f"/{session}")
    async with await psycopg.AsyncConnection.connect(bench.dsn) as other, other.transaction():
        await other.execute("LOCK makers IN ACCESS EXCLUSIVE MODE")
        page = await open_page(bench, f"/{session}")
    assert "Ada" not in page
    assert ">maker 1 · fine <" in page


async def test_the_receipt_is_a_file_for_members_only(bench: Bench, agent: BenchAgent) -> None:
    session = (await agent.write("PATCH", "/notes?id=lt.3", {"body": "x"})).session_id
    await bench.run("UPDATE notes SET body = 'theirs' WHERE id = 2")
    undo = (await request_undo(bench, session, onConflict="skip")).url.path.rpartition("/")[2]
    path = f"/api/connections/{bench.connection_id}/undos/{undo}/receipt.json"
    file = await bench.person.get(path)
    assert file.headers["content-disposition"] == f'attachment; filename="receipt-{undo}.json"'
    assert (file.json()["reverted"], file.json()["skipped"], file.json()["sessionId"]) == (1, 1, session)
    assert file.json()["conflicts"][0]["primaryKey"] == {"id": 2}
    stranger = await bench.product.sign_up(f"{undo}@example.com")
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.get(f"/c/{bench.connection_id}/undos/{undo}")).status_code == 404
    assert (await bench.person.get(path.replace(undo, session))).status_code == 404
    assert (await bench.person.get(f"/c/{bench.connection_id}/undos/{session}")).status_code == 404


async def test_a_form_comes_back_only_to_a_page_of_its_connection(bench: Bench, agent: BenchAgent) -> None:
    for back in ("https://example.com/", "//example.com/", f"/c/{bench.connection_id}\\x", "/connections"):
        session = (await agent.write("PATCH", "/notes?id=eq.1", {"body": "x"})).session_id
        path = f"/c/{bench.connection_id}/sessions/{session}/undo"
        answer = await bench.person.post(path, data={"back": back})
        assert answer.status_code == 303, back
        assert "/undos/" in answer.headers["location"], back


@on_both_backends
async def test_a_preview_warns_of_values_that_an_undone_session_wrote(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench(NOTES)
    agent = await bench.agent()
    first = (await agent.write("PATCH", "/notes?id=lt.4", {"body": "wrecked"})).session_id
    repair = {"x-basewarden-session": "repair"}
    second = (await agent.write("PATCH", "/notes?id=lt.3", {"body": "repaired"}, headers=repair)).session_id
    await agent.write("DELETE", "/notes?id=eq.2", headers=repair)
    before = await open_page(bench, f"/{second}/undo")
    assert "undone session" not in before
    await request_undo(bench, first, onConflict="skip")
    preview = await open_page(bench, f"/{second}/undo")
    assert "This brings back what an undone session wrote" in preview
    assert "2 rows would get values" in preview
    assert f'href="/c/{bench.connection_id}/sessions/{first}"' in preview
    assert f'href="/c/{bench.connection_id}/sessions/{first}/undo"' in preview
    assert '<ins class="change-undone">wrecked</ins>' in preview
    assert '<ins class="change-new">wrecked</ins>' not in preview
    answer = await bench.person.post(
        f"/api/connections/{bench.connection_id}/sessions/{second}/undo", json={"mode": "preview"}
    )
    assert answer.json()["bringsBack"] == [{"sessionId": first, "rows": 2}]
    third = (
        await agent.write("PATCH", "/notes?id=eq.1", {"body": "later"}, headers={"x-basewarden-session": "3"})
    ).session_id
    assert "undone session" not in await open_page(bench, f"/{third}/undo")
    assert '<span class="change-undone">wrecked</span>' in await open_page(bench, f"/{second}/undo")


async def test_a_redo_finds_rows_deleted_that_a_session_deleted(bench: Bench, agent: BenchAgent) -> None:
    await bench.run("UPDATE notes SET body = 'same' WHERE id IN (1, 2)")
    first = (await agent.write("DELETE", "/notes?id=eq.1")).session_id
    done = await bench.person.post(
        f"/api/connections/{bench.connection_id}/sessions/{first}/undo", json={"mode": "apply"}
    )
    undo = done.json()["undoSessionId"]
    await agent.write("DELETE", "/notes?id=eq.1", headers={"x-basewarden-session": "again"})
    page = await open_page(bench, f"/{undo}/undo")
    assert "another key" not in page
    assert "changed outside Basewarden" not in page
    assert "2 rows are as before the undo already" in page
