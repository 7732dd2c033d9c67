"""What a caller may do, and that a refusal changes and journals nothing."""

import json
from typing import Any

import pytest

from tests.fixtures.app import read_refusal
from tests.fixtures.bench import GUEST, Backend, Bench, Workshop, on_both_backends

_SHOP = f"""
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    CREATE TABLE secrets (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, pin text);
    CREATE TABLE tags (id int PRIMARY KEY, tag text);
    CREATE TABLE tagged (customer int REFERENCES customers ON DELETE CASCADE, tag int REFERENCES tags,
        PRIMARY KEY (customer, tag));
    CREATE VIEW pins AS SELECT customer, pin FROM secrets;
    CREATE FUNCTION all_pins() RETURNS SETOF secrets LANGUAGE sql STABLE AS 'SELECT * FROM secrets';
    CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'DELETE FROM secrets';
    INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 5) n;
    INSERT INTO secrets SELECT n, n, 'pin' || n FROM generate_series(1, 5) n;
    INSERT INTO tags VALUES (1, 'vip'); INSERT INTO tagged VALUES (1, 1);
    GRANT SELECT ON customers TO {GUEST};
"""


async def assert_untouched(bench: Bench) -> None:
    assert await bench.rows("SELECT count(*) AS n, max(name) AS name FROM customers") == [{"n": 5, "name": "c5"}]
    assert await bench.rows("SELECT count(*) AS n FROM secrets") == [{"n": 5}]
    assert await bench.sessions() == []


@on_both_backends
async def test_a_reading_agent_only_reads(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(access="read")
    assert (await agent.http.get("/customers?id=eq.1")).json() == [{"id": 1, "name": "c1"}]
    for method, path in (
        ("POST", "/customers"),
        ("PUT", "/customers?id=eq.9"),
        ("PATCH", "/customers?id=eq.1"),
        ("DELETE", "/customers?id=eq.1"),
        ("POST", "/rpc/wipe"),
    ):
        body: Any = {} if path == "/rpc/wipe" else {"id": 9, "name": "x"}
        assert read_refusal(await agent.http.request(method, path, json=body)) == (403, "read_only"), (method, path)
    assert len((await agent.http.get("/rpc/all_pins")).json()) == 5
    await assert_untouched(bench)


@on_both_backends
async def test_a_reading_agent_posts_only_where_reading_is_sure(workshop: Workshop, backend: Backend) -> None:
    """A project's own API tells what is stable, but a function may have changed since: by GET it cannot write."""
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(access="read")
    answer = await agent.http.post("/rpc/all_pins", json={})
    if backend == "direct":
        assert len(answer.json()) == 5
    else:
        assert read_refusal(answer) == (403, "read_only")
        assert answer.json()["hint"].startswith("Call it with GET")


async def test_a_function_that_lies_about_being_stable_still_cannot_write(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY);
        CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql STABLE AS $$
            BEGIN PERFORM dirty(); RETURN 1; END $$;
        CREATE FUNCTION dirty() RETURNS void LANGUAGE sql VOLATILE AS 'INSERT INTO a VALUES (1)';
    """)
    agent = await bench.agent()
    for answer in (await agent.http.post("/rpc/sly", json={}), await agent.http.get("/rpc/dirty")):
        assert read_refusal(answer) == (405, "25006")
    assert await bench.rows("SELECT * FROM a") == []


@on_both_backends
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/customers", "/customers?select=id", "/customers?order=id", "/customers?limit=1"])
async def test_agents_have_to_filter_rows(workshop: Workshop, method: str, path: str) -> None:
    bench = await workshop.bench(_SHOP)
    answer = await (await bench.agent()).http.request(method, path, json={"name": "x"})
    assert read_refusal(answer) == (400, "filter_required")
    await assert_untouched(bench)


_REACHING = [
    ("GET", "/secrets", None),
    ("HEAD", "/secrets", None),
    ("GET", "/customers?select=*,secrets(pin)", None),
    ("GET", "/customers?select=*,x:secrets!inner(pin)", None),
    ("GET", "/customers?select=id,...secrets(pin)", None),
    ("GET", "/customers?select=id,secrets()&secrets.pin=eq.pin1", None),
    ("GET", "/customers?select=id,tags(tag)", None),
    ("GET", "/pins", None),
    ("GET", "/rpc/all_pins", None),
    ("POST", "/rpc/all_pins", {}),
    ("POST", "/rpc/wipe", {}),
    ("POST", "/secrets", {"id": 9, "pin": "x"}),
    ("PATCH", "/secrets?id=eq.1", {"pin": "x"}),
    ("DELETE", "/secrets?id=eq.1", None),
    ("POST", "/customers?select=*,secrets(pin)", {"id": 9}),
    ("OPTIONS", "/secrets", None),
    ("OPTIONS", "/rpc/wipe", None),
]


@on_both_backends
async def test_a_limited_agent_reaches_no_other_table(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=["customers", "tagged"])
    for method, path, body in _REACHING:
        headers = {"prefer": "return=representation"}
        answer = await agent.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == 403, (method, path, answer.text)
        assert "pin1" not in answer.text
        if method != "HEAD":
            assert answer.json()["code"] == "table_denied", (method, path)
    introspected = (await agent.api.get("/introspect")).json()
    assert [one["name"] for one in introspected["tables"]] == ["customers", "tagged"]
    assert "secrets" not in json.dumps(introspected)
    await assert_untouched(bench)
    assert (await agent.http.get("/customers?select=id,tagged(tag)&id=eq.1")).json() == [
        {"id": 1, "tagged": [{"tag": 1}]}
    ]


async def test_a_limited_agent_calls_the_functions_it_was_given(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=["rpc/wipe"])
    assert (await agent.http.post("/rpc/wipe", json={})).status_code == 204
    assert read_refusal(await agent.http.post("/rpc/all_pins", json={})) == (403, "table_denied")


async def test_row_limit_refuses_before_and_after(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxRowsPerWrite=3)
    for method, path, body in (
        ("PATCH", "/customers?id=lte.4", {"name": "x"}),
        ("DELETE", "/customers?id=lte.2", None),  # two, and two secrets with them
        ("POST", "/customers", [{"id": n} for n in range(10, 14)]),
        ("POST", "/rpc/wipe", {}),
    ):
        answer = await agent.http.request(method, path, json=body)
        assert read_refusal(answer) == (403, "row_limit"), (method, path)
        assert answer.json()["details"] == {"limit": 3}
    await assert_untouched(bench)
    assert len((await agent.write("PATCH", "/customers?id=lte.3", {"name": "x"})).changes) == 3


async def test_row_limit_counts_what_a_new_key_carries_along(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON UPDATE CASCADE);
        INSERT INTO a VALUES (1); INSERT INTO b SELECT n, 1 FROM generate_series(1, 5) n;
    """)
    agent = await bench.agent(maxRowsPerWrite=5)
    assert read_refusal(await agent.http.patch("/a?id=eq.1", json={"id": 2})) == (403, "row_limit")
    assert await bench.rows("SELECT id FROM a") == [{"id": 1}]


async def test_a_role_without_rights_learns_nothing_from_our_limits(workshop: Workshop) -> None:
    """The refusal is PostgreSQL's own, whether the filter finds more rows than the limit or none."""
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(dbRole=GUEST, maxRowsPerWrite=1)
    for path in ("/secrets?pin=like.pin*", "/secrets?pin=eq.nothing"):
        for method in ("PATCH", "DELETE"):
            answer = await agent.http.request(method, path, json={"pin": "x"})
            assert read_refusal(answer) == (403, "42501")
    await assert_untouched(bench)


async def test_max_affected_and_rollback_change_nothing(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    answer = await agent.http.patch(
        "/customers?id=lte.2", json={"name": "x"}, headers={"prefer": "handling=strict,max-affected=1"}
    )
    assert read_refusal(answer) == (400, "PGRST124")
    answer = await agent.http.patch(
        "/customers?id=lte.2", json={"name": "x"}, headers={"prefer": "tx=rollback,return=representation"}
    )
    assert [row["name"] for row in answer.json()] == ["x", "x"]
    assert "x-basewarden-session" not in answer.headers
    answer = await agent.http.patch(
        "/customers?id=lte.2", json={"name": "x"}, headers={"accept": "application/vnd.pgrst.object+json"}
    )
    assert answer.status_code == 406
    await assert_untouched(bench)


async def test_a_session_freezes_at_its_limit(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(maxWritesPerSession=2)
    for _ in range(2):
        await agent.write("PATCH", "/customers?id=eq.1", {"name": "x"})
    answer = await agent.http.patch("/customers?id=eq.2", json={"name": "x"})
    assert read_refusal(answer) == (423, "session_frozen")
    assert await bench.rows("SELECT name FROM customers WHERE id = 2") == [{"name": "c2"}]
    (session,) = await bench.sessions()
    assert (session["mutationCount"], session["pendingCount"]) == (1, 0)
    assert (await agent.http.get("/customers?id=eq.2")).status_code == 200


async def test_a_contact_form_writes_what_it_cannot_read(workshop: Workshop) -> None:
    bench = await workshop.bench(f"""
        CREATE TABLE letters (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text);
        INSERT INTO letters (text) VALUES ('private');
        ALTER TABLE letters ENABLE ROW LEVEL SECURITY;
        CREATE POLICY form ON letters FOR INSERT TO {GUEST} WITH CHECK (true);
        GRANT INSERT ON letters TO {GUEST};
    """)
    agent = await bench.agent(dbRole=GUEST)
    written = await agent.write("POST", "/letters", {"text": "hello"}, prefer="return=minimal")
    assert [(verb, after["text"]) for _, verb, _, after in written.row_changes() if after] == [("insert", "hello")]
    answer = await agent.http.post("/letters", json={"text": "x"}, headers={"prefer": "return=representation"})
    assert read_refusal(answer) == (403, "42501")
    assert await bench.rows("SELECT count(*) AS n FROM letters") == [{"n": 2}]


async def test_row_security_that_binds_the_login_itself_is_refused(workshop: Workshop) -> None:
    """What the journal cannot see whole must not be written."""
    bench = await workshop.bench("""
        CREATE TABLE own (id int PRIMARY KEY); INSERT INTO own VALUES (1), (2);
        ALTER TABLE own ENABLE ROW LEVEL SECURITY; ALTER TABLE own FORCE ROW LEVEL SECURITY;
        CREATE POLICY one ON own USING (id = 1);
    """)
    answer = await (await bench.agent()).http.delete("/own?id=eq.1")
    assert read_refusal(answer) == (403, "capture_blind")
    assert await bench.rows("SELECT count(*) AS n FROM own") == [{"n": 2}]


async def test_soft_delete_out_of_ones_own_sight(workshop: Workshop) -> None:
    bench = await workshop.bench(f"""
        CREATE TABLE docs (id int PRIMARY KEY, gone bool DEFAULT false); INSERT INTO docs VALUES (1), (2);
        ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
        CREATE POLICY look ON docs FOR SELECT TO {GUEST} USING (true);
        CREATE POLICY living ON docs FOR UPDATE TO {GUEST} USING (NOT gone) WITH CHECK (true);
        GRANT SELECT, UPDATE ON docs TO {GUEST};
    """)
    agent = await bench.agent(dbRole=GUEST)
    written = await agent.write("PATCH", "/docs?id=eq.1", {"gone": True})
    assert written.row_changes() == [("docs", "update", {"id": 1, "gone": False}, {"id": 1, "gone": True})]
    assert (await agent.write("PATCH", "/docs?id=eq.1", {"gone": False})).changes == []


async def test_volatile_functions_are_counted(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY, n int); CREATE TABLE b (id int PRIMARY KEY);
        INSERT INTO a VALUES (1, 0), (2, 0), (3, 0);
        CREATE FUNCTION mix(k int) RETURNS int LANGUAGE sql AS $$
            INSERT INTO b SELECT generate_series(k, k + 1); UPDATE a SET n = k WHERE id <= 2;
            DELETE FROM a WHERE id = 3; SELECT k $$;
        CREATE FUNCTION nothing() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
    """)
    agent = await bench.agent()
    written = await agent.write("POST", "/rpc/mix", {"k": 7})
    assert written.answer.json() == 7
    assert written.changes == []
    assert written.unseen == [
        {"schema": "public", "table": "a", "inserted": 0, "updated": 2, "deleted": 1},
        {"schema": "public", "table": "b", "inserted": 2, "updated": 0, "deleted": 0},
    ]
    assert (await agent.write("POST", "/rpc/nothing", {})).unseen == []


async def test_what_triggers_do_elsewhere_is_counted(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE audit (line text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN INSERT INTO audit VALUES ('x'), ('y'); RETURN NULL; END $$;
        CREATE TRIGGER note AFTER INSERT ON a FOR EACH STATEMENT EXECUTE FUNCTION note();
    """)
    written = await (await bench.agent()).write("POST", "/a", [{"id": 1}, {"id": 2}])
    assert len(written.changes) == 2
    assert written.unseen == [{"schema": "public", "table": "audit", "inserted": 2, "updated": 0, "deleted": 0}]
