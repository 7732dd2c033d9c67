"""The row security debugger through the product: who may see, who may try, and the form without script."""

import re
from html import unescape

import pytest

from tests.fixtures.app import read_refusal
from tests.fixtures.bench import Bench, Workshop
from tests.fixtures.html_forms import find_forms
from tests.sentry.test_scans import open_holes

NOTES = """
    CREATE TABLE notes (id int PRIMARY KEY, title text); CREATE TABLE "odd.na/me" (id int);
    INSERT INTO notes SELECT n, 'hidden-' || n FROM generate_series(1, 4) AS n;
    ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT SELECT, INSERT ON notes TO anon, authenticated;
    CREATE POLICY halves ON notes FOR SELECT USING (id > 2);
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER stamp BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION nothing();
"""


@pytest.fixture
async def bench(workshop: Workshop) -> Bench:
    return await open_holes(workshop, NOTES)


async def test_by_the_api(bench: Bench) -> None:
    here = f"/api/connections/{bench.connection_id}/sentry/tables/public.notes"
    found = (await bench.person.get(here)).json()
    assert (found["hasRls"], [one["name"] for one in found["policies"]]) == (True, ["halves"])
    assert found["policies"][0]["parts"][0]["sql"] == "(id > 2)"
    roles = {one["name"]: one for one in found["roles"]}
    assert roles["anon"]["rights"] == ["select", "insert"]
    assert roles["anon"]["mayTry"]
    tried = await bench.person.post(f"{here}/trials", json={"command": "select", "role": "anon"})
    assert tried.status_code == 200, tried.text
    answer = tried.json()
    assert (answer["outcome"], answer["rows"], answer["of"]) == ("allowed", 2, 4)
    assert answer["policies"] == [{"policy": "halves", "kind": "permissive", "part": "USING", "passed": 2, "of": 4}]
    assert "hidden" not in tried.text
    row = {"command": "insert", "role": "anon", "row": '{"id": 9}'}
    assert read_refusal(await bench.person.post(f"{here}/trials", json=row)) == (422, "validation_failed")
    refused = (await bench.person.post(f"{here}/trials", json={**row, "runsCode": True})).json()
    assert refused["outcome"] == "denied_policy"
    assert "No policy for INSERT lets anon in" in refused["reasons"][0]
    for body in ({"command": "truncate", "role": "anon"}, {"command": "select", "role": "postgres"}, {"role": "anon"}):
        assert (await bench.person.post(f"{here}/trials", json=body)).status_code == 422
    assert (await bench.person.get(here.replace("notes", "nothing"))).status_code == 404
    assert (await bench.person.get(here.replace("public.notes", "notes"))).status_code == 404
    assert (await bench.rows("SELECT count(*) AS n FROM notes"))[0]["n"] == 4


async def test_viewers_see_and_editors_try(bench: Bench) -> None:
    here = f"/api/connections/{bench.connection_id}/sentry/tables/public.notes"
    page = f"/c/{bench.connection_id}/sentry/tables/public.notes"
    body = {"command": "select", "role": "anon"}
    viewer, editor = await bench.member("viewer"), await bench.member("editor")
    assert (await viewer.get(here)).status_code == 200
    assert "An editor or owner of this connection can try" in (await viewer.get(page)).text
    assert (await viewer.post(f"{here}/trials", json=body)).status_code == 403
    assert (await viewer.post(f"{page}/trial", data=body)).status_code == 403
    assert (await editor.post(f"{here}/trials", json=body)).status_code == 200
    stranger = await bench.product.sign_up("debugger-stranger@example.com")
    for answer in (await stranger.get(here), await stranger.post(f"{here}/trials", json=body)):
        assert answer.status_code == 404


async def test_the_page_without_script(bench: Bench) -> None:
    page = f"/c/{bench.connection_id}/sentry/tables/public.notes"
    shown = await bench.person.get(page)
    text = unescape(re.sub(r"</?(span|code)[^>]*>", "", shown.text))
    for said in (
        "halves",
        "(id > 2)",
        "Allows everyone to read rows.",
        "SELECT, INSERT",
        "trigger stamp runs public.nothing()",
    ):
        assert said in text, said
    assert f'href="/c/{bench.connection_id}/data/public.notes"' in shown.text
    form = next(find_forms(shown, re.compile(re.escape(f"{page}/trial") + r"\Z")))
    form.fill({"command": "select", "role": "anon"})
    tried = await form.submit(bench.person, shown)
    assert tried.status_code == 200
    assert "anon reads 2 of 4 rows" in tried.text
    assert "true for 2 of 4 rows" in tried.text
    assert "hidden-" not in tried.text
    typed = {"command": "insert", "role": "anon", "row": '{"id": "<b>"}', "claims": "{}", "userId": "someone"}
    refused = await bench.person.post(f"{page}/trial", data=typed)
    assert refused.status_code == 422
    assert "Read what this write runs" in refused.text
    assert "&lt;b&gt;" in refused.text
    assert 'value="someone"' in refused.text
    wrong = await bench.person.post(f"{page}/trial", data={**typed, "runsCode": "1"})
    assert "does not have the form of its column" in unescape(wrong.text)
    odd = await bench.person.get(f"/c/{bench.connection_id}/sentry/tables/public.odd%252Ena%252Fme")
    assert odd.status_code == 200
    assert "row level security off" in odd.text
