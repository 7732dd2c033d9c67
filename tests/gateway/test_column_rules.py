"""Columns that an agent sees as a constant, or not at all: nothing that it can ask shows a value of them."""

import json
from typing import Any

import httpx
import pytest

from tests.fixtures.app import read_refusal
from tests.fixtures.bench import Bench, BenchAgent, Workshop, on_both_backends
from tests.fixtures.waiting import wait_until

SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, name text, email text UNIQUE, ssn text, age int, born date,
        profile jsonb, lower_email text GENERATED ALWAYS AS (lower(email)) STORED);
    CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, state text,
        contact text REFERENCES customers (email), discount numeric CHECK (discount < 1 OR state = 'void'));
    CREATE TABLE secret_notes (id int PRIMARY KEY, about int REFERENCES customers, body text);
    CREATE INDEX by_age ON customers (name, age);
    CREATE VIEW names AS SELECT id, name FROM customers;
    CREATE VIEW emails AS SELECT id, email AS address FROM customers;
    CREATE VIEW adults AS SELECT id, name FROM customers WHERE age > 17;
    CREATE VIEW rows AS SELECT id, to_jsonb(customers) AS all FROM customers;
    CREATE VIEW over_rows AS SELECT id FROM rows;
    CREATE VIEW counted AS SELECT count(*) AS n FROM customers;
    CREATE FUNCTION all_customers() RETURNS SETOF customers LANGUAGE sql STABLE AS 'SELECT * FROM customers ORDER BY id';
    CREATE FUNCTION first_customer() RETURNS customers LANGUAGE sql STABLE AS 'SELECT * FROM customers WHERE id = 1';
    CREATE FUNCTION all_emails() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT email FROM customers';
    CREATE FUNCTION shout(customers) RETURNS text LANGUAGE sql STABLE AS 'SELECT upper($1.email)';
    CREATE VIEW shouted AS SELECT id, all_emails() AS e FROM orders;
    INSERT INTO customers VALUES (1, 'Ada', 'Ada@x', '111', 36, '1815-12-10', '{"k": 1}'),
        (2, 'Bob', 'Bob@x', '222', 12, NULL, NULL), (3, 'Bob', NULL, NULL, NULL, NULL, '{}');
    INSERT INTO orders VALUES (1, 1, 'new', 'Ada@x', 0.5), (2, 2, 'new', NULL, 0.1);
    INSERT INTO secret_notes VALUES (1, 1, 'n1');
"""
RULES = {
    "customers": {"email": "mask", "age": "mask", "profile": "mask", "ssn": "deny", "born": "deny"},
    "orders": {"discount": "mask"},
    "secret_notes": {"about": "mask"},
}
SEEN = ["id", "name", "email", "age", "profile", "lower_email"]
SECRETS = ("Ada@x", "ada@x", "ADA@X", "Bob@x", "111", "222", "36", "1815", "0.5")


async def _open(workshop: Workshop, **wanted: Any) -> tuple[Bench, BenchAgent]:
    bench = await workshop.bench(SHOP)
    return bench, await bench.agent(**{"columns": RULES, "functions": ["all_customers", "first_customer"], **wanted})


def _check_hidden(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text, text


_FIRST = {"id": 1, "name": "Ada", "email": "•••", "age": None, "profile": None, "lower_email": "•••"}


@pytest.mark.parametrize(
    ("path", "rows"),
    [
        ("/customers?id=eq.1", [_FIRST]),
        ("/customers?select=*&id=eq.1", [_FIRST]),
        ("/customers?select=&id=eq.1", [_FIRST]),
        ("/customers?select=name,mail:email&id=eq.1", [{"name": "Ada", "mail": "•••"}]),
        ("/customers?select=email,age&order=id", [{"email": "•••", "age": None}] * 3),
        ("/orders?select=id,customers(*)&id=eq.1", [{"id": 1, "customers": _FIRST}]),
        ("/orders?select=id,...customers(email)&order=id", [{"id": 1, "email": "•••"}, {"id": 2, "email": "•••"}]),
        ("/customers?select=id,orders(id,discount)&id=eq.1", [{"id": 1, "orders": [{"id": 1, "discount": None}]}]),
        ("/rpc/all_customers?id=eq.1", [_FIRST]),
        ("/rpc/first_customer", _FIRST),
        ("/rpc/all_customers?select=email&name=eq.Bob", [{"email": "•••"}, {"email": "•••"}]),
        ("/names?id=eq.1", [{"id": 1, "name": "Ada"}]),
        ("/counted", [{"n": 3}]),
        ("/customers?select=id,customers:orders()&customers=not.is.null&id=eq.1", [{"id": 1}]),
    ],
)
async def test_masked_columns_are_constants_and_denied_ones_are_not_there(
    workshop: Workshop, path: str, rows: object
) -> None:
    _, agent = await _open(workshop)
    answer = await agent.http.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.json() == rows
    _check_hidden(answer.text)


async def test_the_same_as_csv_as_one_object_and_with_counts(workshop: Workshop) -> None:
    _, agent = await _open(workshop)
    csv = await agent.http.get("/customers?order=id", headers={"accept": "text/csv"})
    assert csv.text.splitlines()[:2] == [",".join(SEEN), "1,Ada,•••,,,•••"]
    one = await agent.http.get("/customers?id=eq.1", headers={"accept": "application/vnd.pgrst.object+json"})
    assert one.json() == _FIRST
    for kind in ("exact", "planned", "estimated"):
        counted = await agent.http.get("/customers?limit=1", headers={"prefer": f"count={kind}"})
        assert counted.headers["content-range"] == "0-0/3"


_NAMED = [
    "/customers?select={0}->a", "/customers?select={0}::text", "/customers?select={0}->>a", "/customers?{0}=eq.1",
    "/customers?{0}=is.null", "/customers?{0}=not.is.null", "/customers?or=(id.eq.1,{0}.gt.1)",
    "/customers?not.and=(id.eq.1,{0}.in.(1,2))", "/customers?order={0}", "/customers?order=id,{0}.desc.nullslast",
    "/customers?{0}=fts.x", "/customers?{0}->a=eq.1", "/orders?select=id,customers(id)&customers.{0}=eq.1",
    "/orders?select=id,customers!inner(id)&customers.or=({0}.eq.1)", "/orders?select=id,customers(id)&order=customers({0})",
    "/customers?select=id,orders(id)&orders.order=discount", "/rpc/all_customers?{0}=eq.1", "/rpc/all_customers?order={0}",
    "/customers?select=id&{0}=like(any).{{a,b}}", "/customers?select=id,{0}.max()", "/customers?select={0}.count()",
]  # fmt: skip


@pytest.mark.parametrize("column", ["email", "age", "ssn", "lower_email"])
async def test_a_hidden_column_is_named_in_vain(workshop: Workshop, column: str) -> None:
    bench, agent = await _open(workshop)
    for path in _NAMED:
        answer = await agent.http.get(path.format(column))
        assert answer.status_code in (403, 400), (path, answer.text)
        assert read_refusal(answer)[1] in ("column_denied", "PGRST123"), (path, answer.text)  # aggregates are off
        _check_hidden(answer.text)
    assert await bench.sessions() == []


async def test_what_is_denied_is_refused_by_its_name_and_a_name_that_is_none_is_not_explained(
    workshop: Workshop,
) -> None:
    _, agent = await _open(workshop)
    denied = await agent.http.get("/customers?select=id,ssn")
    assert read_refusal(denied) == (403, "column_denied")
    assert denied.json()["details"] == {"denied": ["ssn"]}
    for path in (
        "/customers?select=sn",
        "/customers?ssm=eq.1",
        "/customers?select=id,shout",
        "/customers?select=customers",
    ):
        answer = await agent.http.get(path)
        assert answer.status_code == 400, path
        assert "ssn" not in answer.text
    for path in ("/customers?select=ctid", "/customers?xmin=eq.1", "/customers?order=tableoid"):
        assert read_refusal(await agent.http.get(path)) == (403, "column_denied")


async def test_a_row_as_a_whole_is_asked_for_in_vain(workshop: Workshop) -> None:
    """A star in quotes is a name, and in SQL the whole row, by which rows were ordered and tested for nulls."""
    bench = await workshop.bench("""
        CREATE TABLE people (email text, id int PRIMARY KEY); CREATE TABLE notes (id int PRIMARY KEY, by int REFERENCES people);
        CREATE TABLE odd (id int PRIMARY KEY, "*" text, secret text);
        INSERT INTO people VALUES ('z@x', 1), ('a@x', 2), (NULL, 3); INSERT INTO notes VALUES (1, 1); INSERT INTO odd VALUES (1, 'o', 's1');
    """)
    agent = await bench.agent(columns={"people": {"email": "mask"}, "odd": {"secret": "mask"}})
    for path in (
        '/people?order="*"', '/people?order=id,"*".desc', '/people?"*"=not.is.null', '/people?or=(id.eq.9,"*".is.null)',
        '/notes?select=id,people(id)&people."*"=is.null', '/notes?select=id,people!inner()&people."*"=not.is.null',
        '/odd?order="*"', '/odd?"*"=eq.o',
    ):  # fmt: skip
        answer = await agent.http.get(path)
        assert answer.status_code == 403, (path, answer.text)
        assert read_refusal(answer) == (403, "column_denied"), path
    assert read_refusal(await agent.http.delete('/people?"*"=not.is.null')) == (403, "column_denied")
    for path in ("/odd", '/odd?select="*"', '/odd?select=x:"*"', "/odd?select=id,secret"):
        assert (await agent.http.get(path)).json() == [{"id": 1, "secret": "•••"}]
    for path in ('/people?"*"->>email=eq.z@x', '/people?"*"->>email=like.*', '/people?select="*".max()'):
        assert read_refusal(await agent.http.get(path)) == (403, "column_denied"), path
    assert read_refusal(await agent.http.get("/people?select=count()"))[1] == "PGRST123"  # aggregates are off for all


async def test_rows_are_not_joined_through_a_hidden_column(workshop: Workshop) -> None:
    _, agent = await _open(workshop)
    for path in (
        "/secret_notes?select=id,customers(name)",
        "/customers?select=id,secret_notes(id)",
        "/customers?select=id,secret_notes!inner()",
        "/orders?select=id,customers!orders_contact_fkey(name)",
        "/orders?select=id,customers!contact(name)",
        "/orders?select=id,customers!email(name)",
    ):
        answer = await agent.http.get(path)
        assert read_refusal(answer) == (403, "column_denied"), path
    assert (await agent.http.get("/orders?select=customers!orders_customer_fkey(name)&id=eq.1")).json() == [
        {"customers": {"name": "Ada"}}
    ]


async def test_views_and_functions_that_may_show_it_are_refused(workshop: Workshop) -> None:
    _, agent = await _open(workshop)
    for path in (
        "/emails", "/adults", "/rows", "/rows?select=id", "/over_rows", "/shouted", "/rpc/all_emails", "/rpc/shout",
    ):  # fmt: skip
        answer = await agent.http.get(path)
        assert read_refusal(answer) == (403, "table_denied"), path
    without = await agent.bench.agent(columns=RULES)
    assert read_refusal(await without.http.get("/rpc/all_customers")) == (403, "table_denied")
    assert (await without.http.get("/names?id=eq.2")).json() == [{"id": 2, "name": "Bob"}]


async def test_a_write_returns_what_a_read_would_and_is_recorded_whole(workshop: Workshop) -> None:
    bench, agent = await _open(workshop)
    write = await agent.write("PATCH", "/customers?id=eq.1", {"name": "Eve"})
    assert write.answer.json() == [{**_FIRST, "name": "Eve"}]
    _check_hidden(write.answer.text)
    ((_, _, before, after),) = write.row_changes()
    assert before is not None
    assert after is not None
    assert (before["email"], after["email"], after["ssn"], after["name"]) == ("Ada@x", "Ada@x", "111", "Eve")
    again = await agent.write("PATCH", "/customers?id=eq.1&select=email", {"name": "Eva"})
    assert again.answer.json() == [{"email": "•••"}]
    assert await bench.rows("SELECT name, email FROM customers WHERE id = 1") == [{"name": "Eva", "email": "Ada@x"}]
    gone = await agent.http.delete("/orders?id=eq.2", headers={"prefer": "return=representation"})
    assert gone.json() == [{"id": 2, "customer": 2, "state": "new", "contact": None, "discount": None}]


async def test_a_hidden_column_is_not_written(workshop: Workshop) -> None:
    bench, agent = await _open(workshop)
    before = await bench.rows("SELECT * FROM customers ORDER BY id")
    for method, path, body in (
        ("PATCH", "/customers?id=eq.1", {"email": "x"}),
        ("PATCH", "/customers?id=eq.1", {"ssn": None}),
        ("PATCH", "/customers?id=eq.1&columns=email", {"email": "x"}),
        ("POST", "/orders", {"id": 9, "discount": 0}),
        ("POST", "/orders?columns=id,discount", [{"id": 9}]),
        ("PATCH", "/orders?id=eq.1&discount=lt.1", {"state": "x"}),
        ("DELETE", "/customers?ssn=eq.111", None),
    ):
        answer = await agent.http.request(method, path, json=body)
        assert read_refusal(answer) == (403, "column_denied"), (method, path, answer.text)
    assert await bench.rows("SELECT * FROM customers ORDER BY id") == before
    assert await bench.sessions() == []


async def test_a_write_that_the_database_would_compare_with_it_is_refused(workshop: Workshop) -> None:
    bench, agent = await _open(workshop)
    for method, path, body, details in (
        ("POST", "/customers", {"id": 9, "name": "x"}, None),  # the e-mail is unique
        ("POST", "/customers?on_conflict=email", {"id": 9}, {"denied": ["email"]}),
        ("PATCH", "/orders?id=eq.1", {"state": "void"}, {"denied": ["state"]}),  # it is checked with the discount
        ("POST", "/orders", {"id": 9, "contact": "Ada@x"}, {"denied": ["contact"]}),  # it refers to an e-mail
        ("PATCH", "/orders?id=eq.2", {"contact": "Ada@x"}, {"denied": ["contact"]}),
        ("DELETE", "/customers?id=eq.3", None, None),  # hidden keys may refer to it
        ("PATCH", "/customers?id=eq.3", {"id": 4}, {"denied": ["id"]}),
    ):
        prefer = {"prefer": "resolution=merge-duplicates"} if "on_conflict" in path else {}
        answer = await agent.http.request(method, path, json=body, headers=prefer)
        assert read_refusal(answer) == (403, "column_denied"), (method, path, answer.text)
        assert answer.json()["details"] == details, path
    assert (await agent.http.post("/orders", json={"id": 9, "customer": 1})).status_code == 201
    assert (await agent.http.patch("/customers?id=eq.3", json={"name": "Zoe"})).status_code == 204
    assert await bench.rows("SELECT name FROM customers WHERE id = 3") == [{"name": "Zoe"}]


async def test_errors_of_the_database_have_no_details(workshop: Workshop) -> None:
    bench, agent = await _open(workshop)
    await bench.run("ALTER TABLE customers ALTER name SET NOT NULL; ALTER TABLE orders ADD UNIQUE (customer)")
    await bench.run("NOTIFY pgrst, 'reload schema'")
    for method, path, body, code in (
        ("PATCH", "/customers?id=eq.1", {"name": None}, "23502"),  # PostgreSQL would show the row
        ("PATCH", "/orders?id=eq.1", {"customer": 2}, "23505"),
        ("PATCH", "/orders?id=eq.1", {"customer": 99}, "23503"),
        ("GET", "/orders?customer=eq.x", None, "22P02"),
    ):
        answer = await agent.http.request(method, path, json=body)
        assert answer.json()["code"] == code, answer.text
        assert (answer.json()["details"], answer.json()["hint"]) == (None, None)
        _check_hidden(answer.text)


async def test_descriptions_leave_denied_columns_out(workshop: Workshop) -> None:
    _, agent = await _open(workshop)
    shown = (await agent.api.get("/introspect")).json()["tables"]
    customers = next(one for one in shown if one["name"] == "customers")
    assert [one["name"] for one in customers["columns"]] == SEEN
    assert {one["name"] for one in shown} == {"customers", "orders", "secret_notes", "names", "counted"}
    document = await agent.http.get("/")
    assert list(document.json()["definitions"]["customers"]["properties"]) == SEEN
    assert "ssn" not in document.text
    assert "/emails" not in document.json()["paths"]


async def test_partitions_and_children_have_the_rules_of_their_parent_and_the_other_way_round(
    workshop: Workshop,
) -> None:
    bench = await workshop.bench("""
        CREATE TABLE events (id int, kind text, secret text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
        CREATE TABLE clicks PARTITION OF events FOR VALUES IN ('click');
        CREATE TABLE people (id int PRIMARY KEY, pin text); CREATE TABLE staff (desk int, PRIMARY KEY (id)) INHERITS (people);
        INSERT INTO events VALUES (1, 'click', 's1'); INSERT INTO staff VALUES (1, 'p1', 7);
    """)
    agent = await bench.agent(columns={"clicks": {"secret": "mask"}, "people": {"pin": "deny"}})
    assert (await agent.http.get("/events")).json() == [{"id": 1, "kind": "click", "secret": "•••"}]
    assert (await agent.http.get("/people")).json() == [{"id": 1}]
    assert (await agent.http.get("/staff")).json() == [{"id": 1, "desk": 7}]
    assert read_refusal(await agent.http.get("/staff?select=pin")) == (403, "column_denied")


async def test_an_index_on_a_hidden_column_does_not_order_rows(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE pay (id int PRIMARY KEY, team int, salary int); CREATE INDEX ON pay (team, salary);
        INSERT INTO pay SELECT n, 1, 10000 - n * 7 % 10007 FROM generate_series(1, 5000) n; ANALYZE pay;
    """)
    agent = await bench.agent(columns={"pay": {"salary": "mask"}})
    await bench.run(f"ALTER DATABASE {bench.dsn.rpartition('/')[2]} SET enable_seqscan = off")
    for path in ("/pay?team=eq.1&limit=20", "/pay?team=eq.1&order=team&limit=20"):
        assert [one["id"] for one in (await agent.http.get(path)).json()] == list(range(1, 21))


async def test_a_view_that_may_show_any_value_is_refused(workshop: Workshop) -> None:
    """The catalog says of none that it reads the column: a text names it, or the value is in statistics."""
    bench = await workshop.bench("""
        CREATE TABLE customers (id int PRIMARY KEY, name text, email text);
        INSERT INTO customers SELECT n, 'n', 'ada' || n % 2 || '@x' FROM generate_series(1, 300) n; ANALYZE customers;
        CREATE VIEW words AS SELECT word FROM ts_stat('SELECT to_tsvector(email) FROM public.customers');
        CREATE MATERIALIZED VIEW kept_words AS SELECT * FROM words;
        CREATE VIEW of_each AS SELECT id, w.word FROM customers, LATERAL
            ts_stat('SELECT to_tsvector(email) FROM public.customers WHERE id = ' || id) AS w;
        CREATE VIEW common AS SELECT attname, most_common_vals::text AS vals FROM pg_stats WHERE tablename = 'customers';
        CREATE VIEW running AS SELECT query FROM pg_stat_activity;
        CREATE FUNCTION add_email(text, int) RETURNS text LANGUAGE sql STABLE AS
            'SELECT concat($1, email) FROM public.customers WHERE id = $2';
        CREATE AGGREGATE emails_of(int) (SFUNC = add_email, STYPE = text);
        CREATE VIEW joined AS SELECT emails_of(id) AS x FROM customers;
        CREATE AGGREGATE longest(text) (SFUNC = text_larger, STYPE = text);
        CREATE VIEW last_name AS SELECT longest(name) AS name FROM customers;
    """)
    agent = await bench.agent(access="read", columns={"customers": {"email": "mask"}})
    for name in ("words", "kept_words", "of_each", "common", "running", "joined"):
        answer = await agent.http.get(f"/{name}")
        assert read_refusal(answer) == (403, "table_denied"), (name, answer.text)
    assert (await agent.http.get("/last_name")).json() == [{"name": "n"}]
    other = await bench.agent(access="read")
    assert "ada1" in (await other.http.get("/words")).text


async def test_a_table_whose_hidden_column_has_another_name_now_is_refused(workshop: Workshop) -> None:
    """Until the rule is changed: what was hidden would be shown under the new name."""
    bench = await workshop.bench("""
        CREATE TABLE events (id int, kind text, secret text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
        CREATE TABLE clicks PARTITION OF events FOR VALUES IN ('click');
        CREATE TABLE notes (id int PRIMARY KEY, body text); CREATE VIEW seen AS SELECT id FROM events;
        CREATE FUNCTION all_events() RETURNS SETOF events LANGUAGE sql STABLE AS 'SELECT * FROM events';
        INSERT INTO events VALUES (1, 'click', 's1');
    """)
    agent = await bench.agent(columns={"events": {"secret": "mask"}}, functions=["all_events"])
    assert (await agent.http.get("/events")).json() == [{"id": 1, "kind": "click", "secret": "•••"}]
    await bench.run("ALTER TABLE events RENAME secret TO hidden; NOTIFY pgrst, 'reload schema'")
    paths = ("/events", "/clicks", "/seen", "/rpc/all_events")

    async def ask() -> list[httpx.Response]:
        return [await agent.http.get(path) for path in paths]

    def are_refused(answers: list[httpx.Response]) -> bool:
        assert not any("s1" in one.text for one in answers)
        return all(one.status_code == 403 and read_refusal(one)[1] == "table_denied" for one in answers)

    await wait_until(ask, "the new snapshot", matches=are_refused)
    assert read_refusal(await agent.http.patch("/events?id=eq.1", json={"hidden": "x"})) == (403, "table_denied")
    assert (await agent.http.get("/notes")).json() == []
    shown = (await agent.api.get("/introspect")).json()["tables"]
    assert {one["name"] for one in shown} == {"notes"}
    path = f"/api/connections/{bench.connection_id}/agents/{agent.id}"
    assert (await bench.person.patch(path, json={"columns": {"events": {"hidden": "deny"}}})).status_code == 200
    assert (await agent.http.get("/events")).json() == [{"id": 1, "kind": "click"}]


async def test_a_table_with_hidden_columns_that_has_another_name_now_is_refused(workshop: Workshop) -> None:
    """Of an agent that may use every table; with the rule under the new name, it is shown again."""
    bench = await workshop.bench("""
        CREATE TABLE clients (id int PRIMARY KEY, name text, email text, phone text);
        CREATE TABLE notes (id int PRIMARY KEY, email text);
        INSERT INTO clients VALUES (1, 'A', 'a@x', '1'); INSERT INTO notes VALUES (1, 'n@x');
    """)
    agent = await bench.agent(columns={"clients": {"email": "mask", "phone": "deny"}})
    assert (await agent.http.get("/clients")).json() == [{"id": 1, "name": "A", "email": "•••"}]
    await bench.run("""
        ALTER TABLE clients RENAME TO people; CREATE TABLE later (id int); GRANT SELECT ON later TO PUBLIC;
        NOTIFY pgrst, 'reload schema'
    """)
    await wait_until(lambda: agent.http.get("/later"), "the new snapshot", matches=lambda one: one.status_code == 200)
    assert read_refusal(await agent.http.get("/people")) == (403, "table_denied")
    assert read_refusal(await agent.http.patch("/people?id=eq.1", json={"name": "x"})) == (403, "table_denied")
    assert (await agent.http.get("/notes")).json() == [{"id": 1, "email": "n@x"}]
    path = f"/api/connections/{bench.connection_id}/agents/{agent.id}"
    rules = {"columns": {"people": {"email": "mask", "phone": "deny"}}}
    assert (await bench.person.patch(path, json=rules)).status_code == 200
    assert (await agent.http.get("/people")).json() == [{"id": 1, "name": "A", "email": "•••"}]


async def test_a_view_that_changes_is_seen_with_the_next_snapshot(workshop: Workshop) -> None:
    bench, agent = await _open(workshop)
    assert (await agent.http.get("/names")).status_code == 200
    await bench.run("CREATE VIEW more AS SELECT id, email FROM customers; CREATE VIEW fine AS SELECT id FROM customers")
    assert read_refusal(await agent.http.get("/more")) in ((403, "table_denied"), (404, "PGRST205"))
    assert read_refusal(await agent.http.get("/emails")) == (403, "table_denied")


@on_both_backends
async def test_a_rule_is_refused_where_it_could_not_be_kept(workshop: Workshop, backend: str) -> None:
    bench = await workshop.bench(SHOP)
    path = f"/api/connections/{bench.connection_id}/agents"
    answer = await bench.person.post(path, json={"name": "x", "access": "read", "columns": RULES})
    if backend == "direct":
        assert answer.status_code == 201
    else:
        assert (answer.status_code, answer.json()["details"][0]["field"]) == (422, "columns")
        assert "Postgres connection string" in json.dumps(answer.json())
