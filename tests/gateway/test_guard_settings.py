"""The guard's settings and marks: the API, the page, and what they change for agents."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.fixtures.app import read_refusal
from tests.fixtures.bench import Backend, Bench, Workshop, on_both_backends
from tests.fixtures.html_forms import find_forms
from tests.fixtures.members import sign_in_again
from tests.fixtures.twofactor import make_stale
from tests.fixtures.waiting import wait_until

SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, nick text, email text);
    CREATE TABLE reviews (id int PRIMARY KEY, body text, about int REFERENCES customers ON DELETE CASCADE);
    CREATE TABLE notes (id int PRIMARY KEY, body text);
    CREATE FUNCTION hello() RETURNS int LANGUAGE sql AS 'SELECT 1';
    INSERT INTO customers VALUES (1, 'ada', 'ada@x'), (2, 'bob', 'bob@x');
    INSERT INTO reviews VALUES (1, 'fine', 1);
"""
PUBLIC = {"mode": "block", "tables": {"reviews": "public"}}


def path_of(bench: Bench) -> str:
    return f"/api/connections/{bench.connection_id}/guard"


async def put(bench: Bench, body: dict[str, Any]) -> httpx.Response:
    return await bench.person.put(path_of(bench), json=body)


@on_both_backends
async def test_a_table_that_is_marked_as_public_is_guarded(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench(SHOP)
    assert (await put(bench, PUBLIC)).json() == {
        "mode": "block", "columns": {}, "tables": {"public.reviews": "public"}, "strangers": "allow", "writers": {}
    }  # fmt: skip
    agent = await bench.agent()
    row = {"id": 10, "body": "b"}
    harmless = [("GET", "/customers?select=id,nick"), ("HEAD", "/customers"), ("GET", "/reviews")]
    for method, path in harmless:
        assert (await agent.http.request(method, path)).is_success, path
    assert (await agent.http.post("/reviews", json=row)).status_code == 201
    assert (await agent.http.get("/reviews?select=body,customers(email)")).status_code == 200
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/reviews", {"id": 11, "body": "b"}),
        ("PATCH", "/reviews?id=eq.1", {"body": "ada@x"}),
        ("DELETE", "/reviews?id=eq.1", None),
        ("DELETE", "/customers?id=eq.1", None),
    ]
    if backend == "api":
        writes.append(("POST", "/rpc/hello", {}))  # what it writes is not known
    for method, path, body in writes:
        answer = await agent.http.request(method, path, json=body)
        assert read_refusal(answer) == (403, "egress_blocked"), (method, path, answer.text)
    assert await bench.rows("SELECT id, body FROM reviews ORDER BY id") == [{"id": 1, "body": "fine"}, row]
    assert (await agent.http.post("/notes", json=row)).status_code == 201
    assert (await agent.http.delete("/customers?id=eq.2")).status_code == 204
    assert (await agent.http.get("/rpc/hello")).status_code in (200, 405)

    assert (await put(bench, {"mode": "off"})).status_code == 200

    async def write() -> int:
        return (await agent.http.patch("/reviews?id=eq.1", json={"body": "x"})).status_code

    assert await wait_until(write, "the guard to be off", matches=lambda status: status == 204) == 204


@on_both_backends
async def test_the_owners_marks_count_for_more_than_names(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench(SHOP)
    marks = {"customers": {"nick": "sensitive", "email": "not_sensitive"}}
    assert (await put(bench, {**PUBLIC, "columns": marks})).status_code == 200
    free, closed = await bench.agent(), await bench.agent()
    assert (await free.http.get("/customers?select=id,email")).status_code == 200
    assert (await closed.http.get("/customers")).status_code == 200
    assert (await free.http.post("/reviews", json={"id": 20, "body": "b"})).status_code == 201
    assert read_refusal(await closed.http.post("/reviews", json={"id": 21, "body": "b"})) == (403, "egress_blocked")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"mode": "sometimes"},
        {"mode": "block", "columns": []},
        {"mode": "block", "columns": {"customers": ["email"]}},
        {"mode": "block", "columns": {"customers": {"email": "secret"}}},
        {"mode": "block", "columns": {"customers": {"no_such": "sensitive"}}},
        {"mode": "block", "columns": {"nowhere": {"id": "sensitive"}}},
        {"mode": "block", "columns": {"customers": {"a\x00": "sensitive"}}},
        {"mode": "block", "columns": {"customers": {}, "public.customers": {}}},
        {"mode": "block", "columns": {"customers": dict.fromkeys(map(str, range(1001)), "sensitive")}},
        {"mode": "block", "tables": {"nowhere": "public"}},
        {"mode": "block", "tables": {"reviews": "open"}},
        {"mode": "block", "tables": {"rpc/hello": "public"}},
        {"mode": "block", "tables": {"reviews": "public", "public.reviews": "not_public"}},
        {"mode": "block", "strangers": "block"},
        {"mode": "block", "writers": {"reviews": "public"}},
        {"mode": "block", "writers": {"nowhere": "strangers"}},
        {"mode": "block", "writers": {"reviews": "trusted", "public.reviews": "trusted"}},
        {"mode": "block", "more": 1},
    ],
)
async def test_what_is_no_setting_changes_nothing(settings_bench: Bench, body: dict[str, Any]) -> None:
    answer = await put(settings_bench, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "validation_failed"
    assert (await settings_bench.person.get(path_of(settings_bench))).json()["tables"] == {}


async def test_what_weakens_the_guard_needs_a_recent_sign_in(settings_bench: Bench) -> None:
    bench = settings_bench
    marks = {"customers": {"nick": "sensitive"}}
    held = {"strangers": "hold", "writers": {"reviews": "strangers"}}
    assert (await put(bench, {**PUBLIC, **held, "columns": marks})).status_code == 200
    email = (await bench.person.get("/api/auth/session")).json()["user"]["email"]
    stale = await sign_in_again(bench.product, email)
    await make_stale(bench.product.settings.database_url.reveal())
    bench = replace(bench, person=stale)
    weaker = [
        {**PUBLIC, **held, "mode": "off", "columns": marks},
        {**PUBLIC, **held},
        {"mode": "block", **held, "columns": marks},
        {**PUBLIC, **held, "columns": {"customers": {"nick": "sensitive", "email": "not_sensitive"}}},
        {"mode": "block", **held, "columns": marks, "tables": {"reviews": "public", "notes": "not_public"}},
        {**PUBLIC, **held, "columns": marks, "strangers": "allow"},
        {**PUBLIC, "strangers": "hold", "columns": marks},
        {**PUBLIC, "strangers": "hold", "columns": marks, "writers": {"reviews": "strangers", "notes": "trusted"}},
    ]
    for body in weaker:
        assert read_refusal(await put(bench, body)) == (403, "reauth_required"), body
    stricter = {**held, "mode": "block", "columns": marks, "tables": {"reviews": "public", "notes": "public"}}
    assert (await put(bench, stricter)).status_code == 200
    assert (await put(bench, stricter)).status_code == 200


async def test_the_page_lists_what_is_found_and_saves_marks(workshop: Workshop) -> None:
    bench = await workshop.bench(SHOP + "GRANT SELECT ON reviews TO PUBLIC;")
    here = f"/c/{bench.connection_id}/guard"
    page = (await bench.person.get(here)).text
    row = re.search(r"<code>customers</code>.*?</tr>", page, re.DOTALL)
    assert row is not None
    assert ">email</code>" in row[0]
    assert "anyone" in page or "every database role" in page, "anon is a role of the server, or it is not"
    assert (await bench.person.post(here, data={"blocks": "true", "holds": "true"})).headers[
        "location"
    ] == f"{here}?done=saved"
    marks = {"marks": ["sensitive:nick", "not_sensitive:email", ""], "writers": "trusted"}
    for name, typed in (("customers", marks), ("public.reviews", {"readers": "public"}), ("notes", {"readers": ""})):
        saved = await bench.person.post(f"{here}/table?name={name}", data=typed)
        assert saved.headers["location"] == f"{here}?done=saved", name
    assert (await bench.person.get(path_of(bench))).json() == {
        "mode": "block",
        "columns": {"public.customers": {"nick": "sensitive", "email": "not_sensitive"}},
        "tables": {"public.reviews": "public"},
        "strangers": "hold",
        "writers": {"public.customers": "trusted"},
    }
    shown = (await bench.person.get(f"{here}/table?name=customers")).text
    assert re.search(r'value="sensitive:nick" selected', shown)
    assert re.search(r'value="not_sensitive:email" selected', shown)
    assert re.search(r'value="trusted" selected', shown)
    for wrong, words in (
        ({"marks": "sensitive:<i>"}, "no column named"),
        ({"marks": "secret:nick"}, "or as found"),
        ({"named": "nick, none"}, "no column named"),
        ({"readers": "everyone"}, "Who can read it"),
    ):
        answer = await bench.person.post(f"{here}/table?name=customers", data=wrong)
        assert answer.status_code == 422, wrong
        assert words in answer.text, wrong
        assert "<i>" not in answer.text
    assert (await bench.person.get(f"{here}/table?name=nowhere")).status_code == 404
    assert (await bench.person.post(f"{here}/table?name=nowhere", data={"readers": "public"})).status_code in (404, 422)
    assert (await bench.person.post(f"{here}/table?name=customers", data={})).status_code == 303
    assert "customers" not in (await bench.person.get(path_of(bench))).text
    settings = (await bench.person.get(f"/c/{bench.connection_id}/settings")).text
    assert f'href="{here}"' in settings


async def test_two_owners_at_once_each_change_what_they_touched(workshop: Workshop) -> None:
    """The second form took back what the first had saved: it sent everything as it had been when it was opened."""
    bench = await workshop.bench(SHOP)
    here = f"/c/{bench.connection_id}/guard"
    assert (await put(bench, {"mode": "off", "columns": {"customers": {"email": "sensitive"}}})).status_code == 200
    pages = {path: await bench.person.get(here + path) for path in ("", "/table?name=customers")}
    first = {"mode": "block", "columns": {"customers": {"nick": "sensitive"}}, "writers": {"customers": "trusted"}}
    assert (await put(bench, {**first, "tables": {"notes": "public"}})).status_code == 200
    for path, typed in (("", {"holds": "true"}), ("/table?name=customers", {"readers": "public"})):
        (form,) = find_forms(pages[path], re.compile(here + ("/table$" if path else "$")))
        form.fill(typed)
        assert (await form.submit(bench.person, pages[path])).status_code == 303, path
    assert (await bench.person.get(path_of(bench))).json() == {
        "mode": "block",
        "columns": {"public.customers": {"nick": "sensitive"}},
        "tables": {"public.notes": "public", "public.customers": "public"},
        "strangers": "hold",
        "writers": {"public.customers": "trusted"},
    }
    for hostile in ("{", "[]", '{"columns": 1}', "x" * 5_000):
        answer = await bench.person.post(f"{here}/table?name=customers", data={"base": hostile})
        assert answer.status_code == 422, hostile


async def test_forms_that_are_saved_at_the_same_moment_lose_nothing(workshop: Workshop) -> None:
    bench = await workshop.bench(SHOP)
    here = f"/c/{bench.connection_id}/guard"
    typed = (
        ("/table?name=customers", {"marks": "sensitive:nick", "base": "{}"}),
        ("/table?name=reviews", {"readers": "public", "base": "{}"}),
        ("/table?name=notes", {"marks": "sensitive:body", "base": "{}"}),
        ("", {"blocks": "true", "holds": "true", "base": '{"blocks": true, "holds": false}'}),
    )
    answers = await asyncio.gather(*(bench.person.post(here + path, data=data) for path, data in typed))
    assert [one.status_code for one in answers] == [303] * 4, [one.text for one in answers]
    assert (await bench.person.get(path_of(bench))).json() == {
        "mode": "block",
        "columns": {"public.customers": {"nick": "sensitive"}, "public.notes": {"body": "sensitive"}},
        "tables": {"public.reviews": "public"},
        "strangers": "hold",
        "writers": {},
    }


async def test_a_mark_of_a_table_that_is_gone_can_be_taken_away(workshop: Workshop) -> None:
    bench = await workshop.bench(SHOP)
    here = f"/c/{bench.connection_id}/guard"
    assert (await put(bench, {**PUBLIC, "columns": {"reviews": {"body": "sensitive"}}})).status_code == 200
    await bench.run("DROP TABLE reviews")
    page = await wait_until(
        lambda: read_page(bench, here), "the table to be gone", matches=lambda text: "not in the project" in text
    )
    assert "reviews" in page
    shown = (await bench.person.get(f"{here}/table?name=reviews")).text
    assert 'value="sensitive:body" selected' in shown
    assert (await bench.person.post(f"{here}/table?name=reviews", data={"readers": ""})).status_code == 303
    assert (await bench.person.get(path_of(bench))).json()["columns"] == {}


async def read_page(bench: Bench, path: str) -> str:
    return (await bench.person.get(path)).text


async def test_pages_show_what_an_agent_has_read_and_release_it(workshop: Workshop) -> None:
    bench = await workshop.bench(SHOP)
    await put(bench, PUBLIC)
    agent = await bench.agent(name="Reader")
    session = (
        await agent.write("POST", "/notes", {"id": 1, "body": "b"}, headers={"x-basewarden-session": "s"})
    ).session_id
    home = f"/c/{bench.connection_id}"
    pages = (f"{home}/agents/{agent.id}", f"{home}/sessions/{session}")
    for page in pages:
        assert "customers.email" not in (await bench.person.get(page)).text
    await agent.http.get("/customers")
    for page in pages:
        text = (await bench.person.get(page)).text
        assert "customers.email" in text, page
        assert "Release…" in text, page
    for path in (f"{home}/agents/{agent.id}/release", f"{home}/sessions/{session}/release"):
        await agent.http.get("/customers")
        question = (await bench.person.get(path)).text
        assert "no longer limits what it writes" in question
        assert (await bench.person.post(path, data={})).status_code == 422
        assert (await bench.person.post(path, data={"reason": "It was I."})).status_code == 303

        async def write() -> int:
            return (await agent.http.patch("/reviews?id=eq.1", json={"body": "x"})).status_code

        assert await wait_until(write, "the release", matches=lambda status: status == 204) == 204
    history = (await bench.person.get(pages[0])).text
    assert history.count("It was I.") == 2
    assert "It was I." in (await bench.person.get(pages[1])).text
    assert (await bench.person.get(f"{home}/agents/{agent.id}/release")).status_code == 303


async def test_another_persons_guard_is_not_there(settings_bench: Bench, workshop: Workshop) -> None:
    other = await workshop.bench("")
    mine = path_of(settings_bench)
    stranger = await other.product.sign_up("guard-stranger@example.com")
    for answer in (await stranger.get(mine), await stranger.put(mine, json={"mode": "off"})):
        assert read_refusal(answer) == (404, "not_found")
    agent = await settings_bench.agent()
    assert (await agent.api.get(f"http://127.0.0.1:{other.product.port}{mine}")).status_code in (401, 404)


@pytest.fixture
async def settings_bench(workshop: Workshop) -> Bench:
    return await workshop.bench(SHOP)


async def test_values_that_look_sensitive_are_proposed_and_never_shown(workshop: Workshop) -> None:
    bench = await workshop.bench(
        """
        CREATE TABLE people (id int PRIMARY KEY, email text, reach text, note text, "odd ""name" text);
        INSERT INTO people SELECT n, 'e' || n || '@secret.example', 'r' || n || '@secret.example', 'hello',
            '4111 1111 1111 1111' FROM generate_series(1, 300) AS n;
        CREATE TABLE locked (id int PRIMARY KEY, reach text);
        """
    )
    await bench.run("REVOKE ALL ON locked FROM bench_owner; ALTER TABLE locked OWNER TO CURRENT_USER")
    answer = await bench.person.post(f"{path_of(bench)}/sample")
    assert answer.status_code == 200, answer.text
    assert answer.json()["columns"] == [
        {"table": "public.people", "column": "reach", "kind": "email", "matches": 200, "values": 200},
        {"table": "public.people", "column": 'odd "name', "kind": "card", "matches": 200, "values": 200},
    ]
    page = await bench.person.post(f"/c/{bench.connection_id}/guard/sample")
    assert page.status_code == 200
    assert "people.reach" in page.text
    assert "200 of 200 values look like email addresses" in page.text
    for text in (answer.text, page.text):
        assert "secret.example" not in text
        assert "4111" not in text
    assert (await bench.person.get(path_of(bench))).json()["columns"] == {}
    (form,) = find_forms(page, re.compile(r".*/guard/marks\Z"))
    saved = await form.submit(bench.person, page)
    assert saved.headers["location"] == f"/c/{bench.connection_id}/guard?done=marked"
    marked = {"public.people": {"reach": "sensitive", 'odd "name': "sensitive"}}
    assert (await bench.person.get(path_of(bench))).json()["columns"] == marked
    for wrong in ("x", "[1, 2]", '["public.people", "none"]', "[]"):
        answer = await bench.person.post(f"/c/{bench.connection_id}/guard/marks", data={"columns": wrong})
        assert answer.status_code == 422, wrong


@pytest.mark.parametrize("backend", ["api"])
async def test_through_an_api_no_values_are_looked_at(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench(SHOP)
    assert read_refusal(await bench.person.post(f"{path_of(bench)}/sample")) == (409, "needs_postgres")
    page = await bench.person.post(f"/c/{bench.connection_id}/guard/sample")
    assert "Add a Postgres connection string" in page.text
