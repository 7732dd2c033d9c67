"""What refusals and errors tell: of what an agent may not know, nothing, not even that it exists."""

import json
from typing import Any

import httpx
import pytest

from tests.fixtures.bench import GUEST, BenchAgent, Workshop, on_both_backends

_SHOP = """
    CREATE TABLE vault_keys (id int PRIMARY KEY, secret text);
    CREATE TABLE customers (id int PRIMARY KEY, name text UNIQUE);
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, vault_id int REFERENCES vault_keys,
        total numeric CHECK (total >= 0));
    CREATE TABLE order_items (id int PRIMARY KEY, order_id int REFERENCES orders, product text);
    CREATE TABLE audit_trail (line text UNIQUE);
    CREATE FUNCTION all_keys() RETURNS SETOF vault_keys LANGUAGE sql STABLE AS 'SELECT * FROM vault_keys';
    CREATE FUNCTION order_keys(orders) RETURNS SETOF vault_keys LANGUAGE sql STABLE AS 'SELECT * FROM vault_keys';
    CREATE FUNCTION total_of(k int) RETURNS numeric LANGUAGE sql STABLE AS 'SELECT total FROM orders WHERE id = k';
    INSERT INTO vault_keys VALUES (1, 'zq-1');
    INSERT INTO customers VALUES (1, 'Ann');
    INSERT INTO orders VALUES (1, 1, 1, 10);
    INSERT INTO order_items VALUES (1, 1, 'tea');
    INSERT INTO audit_trail VALUES ('1');
"""
_TABLES = ["orders", "order_items", "rpc/total_of", "rpc/all_keys"]
_HIDDEN = ("vault_keys", "customers", "audit_trail", "order_keys", "Perhaps")


async def _reply(agent: BenchAgent, method: str, path: str, body: Any) -> httpx.Response:
    return await agent.http.request(method, path, json=body, headers={"prefer": "return=representation"})


@on_both_backends
@pytest.mark.parametrize(
    ("method", "there", "missing", "body"),
    [
        ("GET", "/vault_keys", "/vault_kees", None),
        ("GET", "/vault_keys?select=secret", "/vault_kees?select=secret", None),
        ("GET", "/vault_keys?nope=eq.1", "/vault_kees?nope=eq.1", None),
        ("OPTIONS", "/vault_keys", "/vault_kees", None),
        ("POST", "/vault_keys", "/vault_kees", {"id": 5}),
        ("POST", "/vault_keys", "/vault_kees", {"nope": 5}),
        ("PATCH", "/vault_keys?id=eq.1", "/vault_kees?id=eq.1", {"secret": "x"}),
        ("DELETE", "/vault_keys?id=eq.1", "/vault_kees?id=eq.1", None),
        ("GET", "/rpc/order_keys", "/rpc/order_kees", None),
        ("POST", "/rpc/order_keys", "/rpc/order_kees", {"nope": 1}),
        ("OPTIONS", "/rpc/order_keys", "/rpc/order_kees", None),
        ("GET", "/orders?select=id,vault_keys(*)", "/orders?select=id,vault_kees(*)", None),
        ("GET", "/orders?select=id,vault_keys!inner(secret)", "/orders?select=id,vault_kees!inner(secret)", None),
        ("GET", "/orders?select=id,...vault_keys(secret)", "/orders?select=id,...vault_kees(secret)", None),
        ("GET", "/orders?select=id,vault_id(secret)", "/orders?select=id,vault_ib(secret)", None),
        ("GET", "/orders?select=id,order_keys(secret)", "/orders?select=id,order_kees(secret)", None),
        ("GET", "/order_items?select=orders(vault_keys(id))", "/order_items?select=orders(vault_kees(id))", None),
        ("POST", "/orders?select=id,vault_keys(*)", "/orders?select=id,vault_kees(*)", {"id": 7}),
    ],
)
async def test_what_is_outside_the_list_is_refused_as_what_does_not_exist(
    workshop: Workshop, method: str, there: str, missing: str, body: Any
) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=_TABLES)
    for _ in range(2):  # the second time planned before, if it were
        one, other = [await _reply(agent, method, path, body) for path in (there, missing)]
        assert one.status_code == other.status_code == 403
        assert one.json()["code"] == "table_denied"
        assert _respell(one.text) == _respell(other.text)
        for name in one.json()["details"]["denied"]:
            assert name.rpartition(".")[2].removeprefix("rpc/") in there
    assert await bench.sessions() == []


def _respell(text: str) -> str:
    return text.replace("kees", "keys").replace("vault_ib", "vault_id")


@on_both_backends
async def test_what_another_caller_may_see_is_not_remembered_for_the_agent(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    limited, free = await bench.agent(tables=_TABLES), await bench.agent()
    path = "/orders?select=id,vault_id(secret)"
    for _ in range(2):
        assert (await free.http.get(path)).json() == [{"id": 1, "vault_id": {"secret": "zq-1"}}]
        assert (await limited.http.get(path)).json()["details"] == {"denied": ["public.vault_id"]}


@on_both_backends
async def test_within_the_list_mistakes_are_explained(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=_TABLES)
    joined = await agent.http.get("/orders?select=id,order_items(product)")
    assert joined.json() == [{"id": 1, "order_items": [{"product": "tea"}]}]
    answer = await agent.http.get("/orders?nope=eq.1")
    assert (answer.status_code, answer.json()["message"]) == (400, "column orders.nope does not exist")
    answer = await agent.http.get("/orders?id=eq.x")
    assert answer.json()["message"] == 'invalid input syntax for type integer: "x"'
    answer = await agent.http.post("/orders", json={"id": 1})
    assert answer.status_code == 409
    assert answer.json()["message"] == 'duplicate key value violates unique constraint "orders_pkey"'
    answer = await agent.http.post("/orders", json={"id": 9, "total": -1})
    assert "orders_total_check" in answer.json()["message"]
    answer = await agent.http.post("/order_items", json={"id": 9, "order_id": 77})
    assert answer.json()["details"] == 'Key (order_id)=(77) is not present in table "orders".'
    answer = await agent.http.post("/orders", json={"id": 9, "nope": 1})
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST204")


async def test_suggestions_are_of_the_list_alone(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=_TABLES)
    answer = await agent.http.get("/rpc/total_of?kk=1")
    assert answer.json()["hint"] == "Perhaps you meant to call the function public.total_of(k)"
    await bench.run("DROP TABLE order_items")
    answer = await agent.http.get("/order_items")
    assert (answer.status_code, answer.json()["code"], answer.json()["hint"]) == (404, "PGRST205", None)
    everybody = await bench.agent()
    answer = await everybody.http.get("/vault_kees")
    assert answer.json()["hint"] == "Perhaps you meant the table 'public.vault_keys'"


@on_both_backends
async def test_postgresql_names_nothing_outside_the_list(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=_TABLES)
    answer = await agent.http.post("/orders", json={"id": 99, "vault_id": 99_999})
    assert (answer.status_code, answer.json()["code"]) == (409, "23503")
    _assert_silent(answer)
    free = await bench.agent()
    answer = await free.http.post("/orders", json={"id": 99, "vault_id": 99_999})
    assert answer.json()["details"] == 'Key (vault_id)=(99999) is not present in table "vault_keys".'


async def test_a_row_that_hidden_rows_refer_to_is_kept_without_naming_them(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent(tables=["customers"])
    answer = await agent.http.delete("/customers?id=eq.1")
    assert (answer.status_code, answer.json()["code"]) == (409, "23503")
    _assert_silent(answer, "orders", "order_items")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("INSERT INTO audit_trail VALUES (NEW.id::text)", "23505"),
        ("PERFORM secret FROM vault_keys_old", "42P01"),
        ("PERFORM no_such_function(NEW.id)", "42883"),
        ("PERFORM v.nope FROM vault_keys v", "42703"),
    ],
)
async def test_what_a_trigger_trips_over_is_not_named(workshop: Workshop, body: str, code: str) -> None:
    bench = await workshop.bench(
        _SHOP
        + f"""CREATE FUNCTION trip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NEW; END $$;
        CREATE TRIGGER trip BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION trip();"""
    )
    agent = await bench.agent(tables=["orders"])
    answer = await agent.http.patch("/orders?id=eq.1", json={"total": 5})
    assert answer.json()["code"] == code
    _assert_silent(answer, "vault", "no_such_function", "audit")


async def test_a_lack_of_rights_elsewhere_is_not_named(workshop: Workshop) -> None:
    bench = await workshop.bench(
        _SHOP
        + f"""CREATE FUNCTION look() RETURNS int LANGUAGE plpgsql STABLE AS
            $$ BEGIN RETURN (SELECT count(*) FROM vault_keys); END $$;
        GRANT SELECT ON orders TO {GUEST};"""
    )
    agent = await bench.agent(tables=["orders", "order_items", "rpc/look"], dbRole=GUEST)
    answer = await agent.http.get("/rpc/look")
    assert (answer.status_code, answer.json()["code"]) == (403, "42501")
    _assert_silent(answer, "vault")
    answer = await agent.http.get("/order_items")
    assert answer.json()["message"] == "permission denied for table order_items"


async def test_the_owners_own_words_pass(workshop: Workshop) -> None:
    bench = await workshop.bench(
        _SHOP
        + """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE 'No more orders while customers sleep' USING HINT = 'Come back tomorrow'; END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION refuse();"""
    )
    agent = await bench.agent(tables=["orders"])
    answer = await agent.http.patch("/orders?id=eq.1", json={"total": 5})
    assert answer.json() == {
        "code": "P0001",
        "message": "No more orders while customers sleep",
        "hint": "Come back tomorrow",
        "details": None,
    }


@on_both_backends
async def test_no_execution_plan_reveals_what_a_view_is_made_of(workshop: Workshop) -> None:
    view = "CREATE VIEW secrets_shown AS SELECT id, secret FROM vault_keys;"
    bench = await workshop.bench(_SHOP + view, api_settings={"PGRST_DB_PLAN_ENABLED": "true"})
    agent = await bench.agent(tables=["secrets_shown"])
    for path in ("/secrets_shown", "/secrets_shown?select=id"):
        answer = await agent.http.get(path, headers={"accept": "application/vnd.pgrst.plan+text"})
        assert (answer.status_code, answer.json()["code"]) == (406, "PGRST107")
        assert "vault_keys" not in answer.text


async def test_a_database_that_refuses_its_login_is_not_described(workshop: Workshop) -> None:
    bench = await workshop.bench(_SHOP)
    agent = await bench.agent()
    assert (await agent.http.get("/orders")).status_code == 200
    name = bench.dsn.rpartition("/")[2]
    await bench.run(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
    await bench.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    answers = [await agent.http.get("/orders") for _ in range(3)]
    answers += [await agent.http.patch("/orders?id=eq.1", json={"total": 1}), await agent.api.get("/introspect")]
    await bench.run(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    failed = [answer for answer in answers if answer.status_code != 200]
    assert failed, "nothing failed"
    for answer in failed:
        assert answer.status_code == 503, answer.text
        for word in ("127.0.0.1", "bench_owner", name, "port", "FATAL", "connection to server"):
            assert word not in answer.text
    codes = [answer.json()["code"] for answer in failed]
    assert "PGRST000" in codes
    assert all(code.startswith("PGRST00") or code == "57P01" for code in codes), codes


def _assert_silent(answer: httpx.Response, *words: str) -> None:
    text = json.dumps(answer.json())
    for word in (*(words or _HIDDEN),):
        assert word not in text, (word, text)
    assert answer.json()["message"] == "The database refused this. Its reason is not shown to this token."
    assert (answer.json()["details"], answer.json()["hint"]) == (None, None)
