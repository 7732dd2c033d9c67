"""Reads through a project's own API: the keys, what they may read, and what a token may reach there."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.fakes.supabase import Supabase
from tests.fixtures.app import read_refusal
from tests.fixtures.bench import GUEST, OWNER, Bench, Workshop, on_both_backends
from tests.fixtures.waiting import wait_until

_SHOP = f"""
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, total numeric);
    CREATE FUNCTION first_customer(orders) RETURNS SETOF customers ROWS 1 LANGUAGE sql STABLE AS
        'SELECT * FROM customers WHERE id = $1.customer';
    CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql STABLE AS 'SELECT a + b';
    INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 5) n;
    INSERT INTO orders SELECT n, 1 + n % 5, n * 1.50 FROM generate_series(1, 20) n;
    GRANT SELECT ON customers, orders TO {GUEST};
"""


async def reach(workshop: Workshop, supabase: Supabase, key: str, **settings: str) -> Bench:
    """A shop of which only the URL and a key of this kind are known."""
    inner = await workshop.bench(_SHOP)
    project = await workshop.enter(supabase.project(inner.dsn, OWNER, **settings))
    if key == "legacy":
        given = project.legacy_key(OWNER)
    else:
        given = project.secret_key() if key == "secret" else project.publishable_key(GUEST)
    return await workshop.connect({"url": project.url, "key": given}, inner.dsn, inner.behind, project)


@on_both_backends
async def test_a_read_is_the_same_on_both_backends(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(access="read")
    path = "/orders?select=id,total,customers(name)&id=lte.2&order=id"
    answer = await agent.http.get(path, headers={"prefer": "count=exact"})
    assert answer.json() == [
        {"id": 1, "total": 1.50, "customers": {"name": "c2"}},
        {"id": 2, "total": 3.00, "customers": {"name": "c3"}},
    ]
    headers = {name: answer.headers.get(name) for name in ("content-range", "content-type", "preference-applied")}
    assert headers == {
        "content-range": "0-1/2",
        "content-type": "application/json; charset=utf-8",
        "preference-applied": "count=exact",
    }
    assert "content-profile" not in answer.headers
    for path, status, code in (
        ("/orders?select=(", 400, "PGRST100"),
        ("/orders?id=what.1", 400, "PGRST100"),
        ("/missing", 404, "PGRST205"),
        ("/orders?select=nothing", 400, "42703"),
        ("/orders?id=eq.x", 400, "22P02"),
        ("/orders?select=*,missing(*)", 400, "PGRST200"),
        ("/rpc/missing", 404, "PGRST202"),
        ("/a/b", 404, "PGRST125"),
    ):
        assert read_refusal(await agent.http.get(path)) == (status, code), path
    answer = await agent.http.get("/orders?offset=100", headers={"prefer": "count=exact"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "*/20")
    answer = await agent.http.get("/orders", headers={"accept-profile": "secret"})
    assert read_refusal(answer) == (406, "PGRST106")
    answer = await agent.http.get("/orders", headers={"prefer": "handling=strict, made-up"})
    assert read_refusal(answer) == (400, "PGRST122")
    answer = await agent.http.get("/orders?id=eq.1", headers={"accept": "application/vnd.pgrst.object+json"})
    assert answer.json()["id"] == 1
    assert (await agent.http.get("/orders", headers={"range": "0-1", "range-unit": "items"})).json()[1]["id"] == 2
    head = await agent.http.head("/orders?limit=3", headers={"prefer": "count=exact"})
    assert (head.headers["content-range"], head.content) == ("0-2/20", b"")
    assert (await agent.http.get("/rpc/add?a=1&b=2")).json() == 3
    assert (await agent.http.get("/orders?select=id,first_customer(name)&id=eq.1")).json() == [
        {"id": 1, "first_customer": {"name": "c2"}}
    ]


@pytest.mark.parametrize("kind", ["legacy", "secret", "publishable"])
async def test_every_kind_of_key_works_and_is_nobodys_but_ours(
    workshop: Workshop, supabase: Supabase, kind: str
) -> None:
    bench = await reach(workshop, supabase, kind)
    assert bench.supabase is not None
    agent = await bench.agent(access="read")
    headers = {"user-agent": "Mozilla/5.0 (X11) Chrome/140", "cookie": "theirs=1", "apikey": agent.token}
    answer = await agent.http.get("/orders?id=eq.1", headers=headers)
    assert answer.json() == [{"id": 1, "customer": 2, "total": 1.50}]
    assert "set-cookie" not in answer.headers
    heard = dict(bench.supabase.heard[-1]["headers"])
    (key,) = bench.supabase.keys
    assert heard[b"apikey"] == key.encode()
    assert (b"authorization" in heard) is (kind == "legacy")
    assert b"cookie" not in heard
    assert agent.token not in str(heard)


async def test_a_key_that_may_not_list_tables_still_reads(workshop: Workshop, supabase: Supabase) -> None:
    """As anon and publishable keys of hosted projects since 2026."""
    bench = await reach(workshop, supabase, "publishable")
    agent, limited = await bench.agent(access="read"), await bench.agent(access="read", tables=["orders", "rpc/add"])
    assert (await agent.http.get("/orders?select=id,customers(name)&id=eq.1")).json() == [
        {"id": 1, "customers": {"name": "c2"}}
    ]
    assert (await limited.http.get("/orders?id=eq.1")).json() == [{"id": 1, "customer": 2, "total": 1.50}]
    assert (await limited.http.get("/rpc/add?a=1&b=2")).json() == 3
    for path in ("/customers", "/orders?select=id,customers(name)", "/orders?select=...customers(name)", "/", "/rpc/x"):
        answer = await limited.http.get(path)
        assert read_refusal(answer) == (403, "table_denied"), path
    assert "related rows" in (await limited.http.get("/orders?select=id,customers(name)")).json()["message"]
    assert read_refusal(await agent.api.get("/introspect")) == (403, "schema_untold")
    page = await bench.person.get(f"/c/{bench.connection_id}/data")
    assert "may not list the project&#39;s tables" in page.text
    home = await bench.person.get(f"/c/{bench.connection_id}")
    assert "This key may not list the project&#39;s tables" in home.text


async def test_a_limited_token_reads_no_more_by_spelling_it_otherwise(workshop: Workshop, supabase: Supabase) -> None:
    """The checked request is the one that is sent: the first of what counts once, and nothing that may be read otherwise."""
    bench = await reach(workshop, supabase, "secret")
    assert bench.supabase is not None
    limited = await bench.agent(access="read", tables=["orders"])
    for query in (
        "select=id&select=customers(name)",
        "select=id;select=customers(name)",
        "select=id&select",
        "select=id&%73elect=customers(name)",
    ):
        answer = await limited.http.get(f"/orders?{query}&id=eq.1")
        assert answer.json() == [{"id": 1}], query
        assert bench.supabase.heard[-1]["query_string"].startswith(b"select=id&id=eq.1"), query
    for query in ("select=customers(name)&select=id", "select=%63ustomers(name)", "select=x:customer(name)"):
        assert (await limited.http.get(f"/orders?{query}")).status_code == 403, query
    heard = len(bench.supabase.heard)
    for path in ("/customers", "/%63ustomers", "/customers?select=id", "//customers", "/orders/../customers"):
        assert (await limited.http.get(path)).status_code in (403, 404), path
    assert len(bench.supabase.heard) == heard


async def _try_making(bench: Bench, **wanted: Any) -> httpx.Response:
    body = {"name": "Robot", "access": "read", **wanted}
    return await bench.person.post(f"/api/connections/{bench.connection_id}/agents", json=body)


async def test_a_table_that_is_new_is_found_by_limited_tokens(
    workshop: Workshop, supabase: Supabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("basewarden.gateway.api.project._SOONEST_SECONDS", 0.0)
    bench = await reach(workshop, supabase, "secret")
    await bench.run(f"CREATE TABLE later (id int PRIMARY KEY); ALTER TABLE later OWNER TO {OWNER}")
    async with asyncio.timeout(20):
        while (made := await _try_making(bench, tables=["later"])).status_code != 201:
            assert (made.status_code, made.json()["details"][0]["field"]) == (422, "tables")
    limited = await bench.agent(access="read", tables=["later"])
    await bench.run("DROP TABLE later")
    answer = await wait_until(  # the project's own snapshot looks every few seconds
        lambda: limited.http.get("/later"),
        "the table to be gone",
        matches=lambda answer: answer.status_code == 404,
        seconds=20,
    )
    assert answer.json()["code"] in ("PGRST205", "42P01")
    await bench.run(f"CREATE TABLE later (id int PRIMARY KEY); ALTER TABLE later OWNER TO {OWNER}")
    answer = await wait_until(
        lambda: limited.http.get("/later"),
        "the table to be back",
        matches=lambda answer: answer.status_code == 200,
        seconds=20,
    )
    assert answer.json() == []


async def test_other_schemas_are_reached_by_name(workshop: Workshop, supabase: Supabase) -> None:
    inner = await workshop.bench("""
        CREATE SCHEMA api; CREATE TABLE api.things (id int PRIMARY KEY); INSERT INTO api.things VALUES (1);
        CREATE TABLE public.things (id int PRIMARY KEY); INSERT INTO public.things VALUES (2);
    """)
    project = await workshop.enter(supabase.project(inner.dsn, OWNER, PGRST_DB_SCHEMAS="api,public"))
    bench = await workshop.connect({"url": project.url, "key": project.secret_key()}, inner.dsn, inner.behind, project)
    agent, limited = await bench.agent(access="read"), await bench.agent(access="read", tables=["public.things"])
    answer = await agent.http.get("/things")
    assert (answer.json(), answer.headers["content-profile"]) == ([{"id": 1}], "api")
    answer = await agent.http.get("/things", headers={"accept-profile": "public"})
    assert (answer.json(), answer.headers["content-profile"]) == ([{"id": 2}], "public")
    assert read_refusal(await limited.http.get("/things")) == (403, "table_denied")
    assert (await limited.http.get("/things", headers={"accept-profile": "public"})).json() == [{"id": 2}]


async def test_introspection_shows_what_the_project_describes(workshop: Workshop, supabase: Supabase) -> None:
    bench = await reach(workshop, supabase, "secret")
    tables = (await (await bench.agent(tables=["orders", "customers"])).api.get("/introspect")).json()["tables"]
    assert [one["name"] for one in tables] == ["customers", "orders"]
    assert tables[1]["primaryKey"] == ["id"]
    assert [one["references"] for one in tables[1]["relations"]] == ["public.customers"]
    assert [one["type"] for one in tables[1]["columns"]] == ["integer", "integer", "numeric"]


async def test_what_needs_the_database_itself_says_so(workshop: Workshop, supabase: Supabase) -> None:
    bench = await reach(workshop, supabase, "secret")
    path = f"/api/connections/{bench.connection_id}/agents"
    for limits, fields in (
        ({"dbRole": GUEST}, {"dbRole"}),
        ({"claims": {"sub": "1"}}, {"claims"}),
        ({"dbRole": GUEST, "claims": {"sub": "1"}}, {"dbRole", "claims"}),
    ):
        body: dict[str, Any] = {"name": "a", "access": "read", **limits}
        answer = await bench.person.post(path, json=body)
        assert read_refusal(answer) == (422, "validation_failed")
        assert {one["field"] for one in answer.json()["details"]} == fields
        assert "Postgres connection string" in answer.text
    page = (await bench.person.get(f"/c/{bench.connection_id}/agents/new")).text
    assert 'name="claims"' not in page
    assert "run as service_role, the role of the project" in page


async def test_tokens_with_a_role_end_with_the_address(workshop: Workshop, supabase: Supabase) -> None:
    """They would reach as far as the key otherwise."""
    inner = await workshop.bench(_SHOP)
    project = await workshop.enter(supabase.project(inner.dsn, OWNER))
    reached = {"postgresUrl": inner.dsn, "url": project.url, "key": project.secret_key(), "dbRole": OWNER}
    bench = await workshop.connect(reached, inner.dsn, inner.behind, project)
    agents = [await bench.agent(dbRole=GUEST), await bench.agent(claims={"sub": "1"}), await bench.agent()]
    assert [(await agent.http.get("/orders?id=eq.1")).status_code for agent in agents] == [200, 200, 200]
    heard = len(project.heard)
    path = f"/api/connections/{bench.connection_id}"
    answer = await bench.person.patch(path, json={"postgresUrl": None, "dbRole": None})
    assert (answer.status_code, answer.json()["hasPostgresUrl"]) == (200, False), answer.text
    await bench.product.settled()
    answers = [await agent.http.get("/orders?id=eq.1") for agent in agents]
    assert [one.status_code for one in answers] == [403, 403, 200]
    assert read_refusal(answers[0]) == (403, "role_unsupported")
    assert len(project.heard) > heard
