"""GET through the server app, on a real database."""

import pytest

from pgrest import DbConnection, Statement
from tests.pgrest.conftest import Client


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/customers?select=id,label:name&id=eq.1", [{"id": 1, "label": "Ada"}]),
        ("/customers?select=id::text,b:profile->a->b->>0&id=eq.1", [{"id": "1", "b": "1"}]),
        ("/customers?select=id&profile->>n=eq.7", [{"id": 2}]),
        ("/customers?select=id,initials&id=eq.3", [{"id": 3, "initials": "C"}]),
        ("/customers?select=id&id=not.in.(1,2)", [{"id": 3}]),
        ("/customers?select=id&born=is.null", [{"id": 2}]),
        ("/customers?select=id&name=ilike.*d*&order=id.desc", [{"id": 3}, {"id": 1}]),
        ("/customers?select=id&name=like(any).{A*,B*}&order=id", [{"id": 1}, {"id": 2}]),
        ("/customers?select=id&tags=cs.{vip}", [{"id": 1}]),
        ("/customers?select=id&tags=ov.{eu,us}&order=id", [{"id": 1}, {"id": 3}]),
        ("/customers?select=id&email=isdistinct.bob@example.com&order=id", [{"id": 1}, {"id": 3}]),
        ("/customers?select=id&or=(id.eq.1,and(id.gt.2,name.neq.x))&order=id", [{"id": 1}, {"id": 3}]),
        ("/customers?select=id&not.and=(id.gte.2,id.lte.3)", [{"id": 1}]),
        ("/orders?select=id&period=ov.[2026-01-05,2026-01-06]", [{"id": 1}]),
        ("/orders?select=id&period=sl.[2027-01-01,2027-01-02]", [{"id": 1}]),
        ("/products?select=sku&words=fts(english).apple", [{"sku": "a"}]),
        ("/products?select=sku&title=wfts.pears", [{"sku": "b"}]),
        ("/customers?select=id&order=born.desc.nullslast&limit=2", [{"id": 3}, {"id": 1}]),
        ("/customers?select=id&order=profile->n.desc.nullslast,id&limit=1&offset=1", [{"id": 1}]),
        ("/customers?limit=0", []),
        ("/customers?select=id&order=id&limit=3&limit=1&offset=0&offset=1", [{"id": 2}]),
        # embedding: to one, to many, one to one, through a junction, a view, oneself, filtered, ordered, spread
        ("/orders?select=id,payer:customers!payer_id(name)&id=eq.2", [{"id": 2, "payer": {"name": "Bob"}}]),
        ("/customers?select=id,orders!customer_id(id)&orders.order=id.desc&id=eq.1",
         [{"id": 1, "orders": [{"id": 2}, {"id": 1}]}]),
        ("/customers?select=passports(number)&id=eq.1", [{"passports": {"number": "X1"}}]),
        ("/orders?select=products(sku)&products.order=sku&id=eq.1", [{"products": [{"sku": "a"}, {"sku": "b"}]}]),
        ("/customer_names?select=name,orders!customer_id(id)&id=eq.2", [{"name": "Bob", "orders": [{"id": 3}]}]),
        ("/orders?select=id,customers!customer_id!inner(name)&customers.name=eq.Bob",
         [{"id": 3, "customers": {"name": "Bob"}}]),
        ("/orders?select=id,customers!customer_id()&customers.id=eq.2&customers=not.is.null", [{"id": 3}]),
        ("/orders?select=id,customers!customer_id(name)&order=customers(name).desc,id&limit=1",
         [{"id": 3, "customers": {"name": "Bob"}}]),
        ("/orders?select=id,...customers!customer_id(who:name)&id=eq.3", [{"id": 3, "who": "Bob"}]),
        ("/orders?select=id,...items(amount)&items.order=amount&id=eq.1", [{"id": 1, "amount": [1, 2]}]),
        ("/customers?select=id,orders!customer_id(items(products(title)))&id=eq.2",
         [{"id": 2, "orders": [{"items": []}]}]),
    ],
)  # fmt: skip
async def test_a_read_answers_exactly(client: Client, target: str, expected: object) -> None:
    answer = await client.get(target)
    assert (answer.status, answer.json()) == (200, expected)


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/nothing", 404, "PGRST205"),
        ("/hidden", 404, "PGRST205"),
        ("/secrets", 404, "PGRST205"),
        ("/a/b", 404, "PGRST125"),
        ("/customers?id=wrong.1", 400, "PGRST100"),
        ("/customers?id=eq.x", 400, "22P02"),
        ("/customers?ghost=eq.1", 400, "42703"),
        ("/customers?select=name::ghost", 400, "42704"),
        ("/customers?select=ghosts(*)", 400, "PGRST200"),
        ("/customers?select=orders(*)", 300, "PGRST201"),
        ("/customers?orders.id=eq.1", 400, "PGRST108"),
        ("/customers?select=orders!customer_id(id)&order=orders(id)", 400, "PGRST118"),
        ("/customers?select=id.sum()", 400, "PGRST123"),
        ("/customers?limit=-1", 416, "PGRST103"),
        ("/customers?name=eq.%00", 400, "22021"),
        ("/customers?name=eq.%ff", 400, "22021"),
        ("/customers?id=eq." + "9" * 400, 400, "22003"),
        ("/customers?limit=" + "9" * 25, 400, "22003"),
        ("/staff", 401, "42501"),
        ("/rpc/ghost", 404, "PGRST202"),
    ],
)
async def test_a_bad_read_is_refused_by_its_code(client: Client, target: str, status: int, code: str) -> None:
    answer = await client.get(target)
    assert (answer.status, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "message", "details", "hint"}


async def test_an_ambiguous_embed_lists_the_ways_out(client: Client) -> None:
    answer = await client.get("/orders?select=customers(*)")
    assert [choice["relationship"] for choice in answer.json()["details"]] == [
        "orders_customer_id_fkey using orders(customer_id) and customers(id)",
        "orders_payer_id_fkey using orders(payer_id) and customers(id)",
    ]


async def test_counts_and_ranges(client: Client) -> None:
    partial = await client.get("/customers?select=id&order=id", range="0-1", prefer="count=exact")
    assert (partial.status, partial.headers["content-range"]) == (206, "0-1/3")
    whole = await client.get("/customers", prefer="count=exact")
    assert (whole.status, whole.headers["content-range"]) == (200, "0-2/3")
    beyond = await client.get("/customers?offset=10", prefer="count=exact")
    assert (beyond.status, beyond.json()["code"]) == (416, "PGRST103")
    inner = await client.get(
        "/orders?select=id,customers!customer_id!inner(id)&customers.id=eq.2", prefer="count=exact"
    )
    assert inner.headers["content-range"] == "0-0/1"
    planned = await client.get("/customers?limit=1", prefer="count=planned")
    assert planned.headers["preference-applied"] == "count=planned"
    assert planned.headers["content-range"].split("/")[1].isdigit()


async def test_media_types(client: Client) -> None:
    one = await client.get("/customers?select=id,email&id=eq.3", accept="application/vnd.pgrst.object+json")
    assert one.json() == {"id": 3, "email": None}
    stripped = await client.get(
        "/customers?select=id,email&id=eq.3", accept="application/vnd.pgrst.array+json;nulls=stripped"
    )
    assert stripped.json() == [{"id": 3}]
    several = await client.get("/customers", accept="application/vnd.pgrst.object+json")
    assert (several.status, several.json()["details"]) == (406, "The result contains 3 rows")
    csv = await client.get("/customers?select=id,name&order=id&limit=1", accept="text/csv")
    assert (csv.body, csv.headers["content-type"]) == (b"id,name\n1,Ada", "text/csv; charset=utf-8")
    assert (await client.get("/customers", accept="image/webp")).json()["code"] == "PGRST107"


async def test_head_has_headers_and_no_body(client: Client) -> None:
    answer = await client.send("HEAD", "/customers", None, {"Prefer": "count=exact"})
    assert (answer.status, answer.body, answer.headers["content-range"]) == (200, b"", "0-2/3")


async def test_strict_handling_refuses_unknown_preferences(client: Client) -> None:
    answer = await client.get("/customers", prefer="handling=strict, anything")
    assert (answer.status, answer.json()["code"]) == (400, "PGRST122")


async def test_a_new_column_is_seen_without_a_reload(client: Client, conn: DbConnection) -> None:
    await conn.run([Statement("CREATE TABLE arrivals (id int PRIMARY KEY)")])
    await conn.run([Statement("GRANT ALL ON arrivals TO web_anon")])
    client.app.live.cache._check_seconds = 0
    assert (await client.post("/arrivals", {"id": 1})).status == 201
    await conn.run([Statement("ALTER TABLE arrivals ADD name text DEFAULT 'x'")])
    assert (await client.post("/arrivals", {"id": 2, "name": "y"})).status == 201
    assert (await client.get("/arrivals?order=id")).json() == [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]
