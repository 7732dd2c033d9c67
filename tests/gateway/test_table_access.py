"""An agent that may read some tables and write others: what each request may do, on both backends."""

import asyncio
from typing import Any

import pytest

from tests.fixtures.app import read_refusal
from tests.fixtures.bench import Bench, BenchAgent, Workshop, on_both_backends
from tests.gateway.test_early_refusals import call_by_hand

_SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers ON DELETE CASCADE, state text);
    CREATE TABLE lines (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE CASCADE, item text);
    CREATE TABLE parcels (id int PRIMARY KEY, order_id int REFERENCES orders ON DELETE SET NULL);
    CREATE TABLE secrets (id int PRIMARY KEY, pin text);
    CREATE FUNCTION close_order(k int) RETURNS void LANGUAGE sql AS 'UPDATE orders SET state = ''closed'' WHERE id = k';
    CREATE FUNCTION count_orders() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM orders';
    INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bob');
    INSERT INTO orders SELECT n, 1, 'new' FROM generate_series(1, 4) n;
    INSERT INTO lines VALUES (1, 1, 'lamp'); INSERT INTO parcels VALUES (1, 2); INSERT INTO secrets VALUES (1, 'pin1');
"""
_ACCESS = {"orders": "write", "customers": "read", "lines": "read", "parcels": "write"}


async def _open(workshop: Workshop, **wanted: Any) -> tuple[Bench, BenchAgent]:
    bench = await workshop.bench(_SHOP)
    return bench, await bench.agent(**{"tables": _ACCESS, **wanted})


@on_both_backends
@pytest.mark.parametrize("prefer", ["return=minimal", "return=representation,resolution=merge-duplicates"])
async def test_a_table_that_may_only_be_read_is_not_written(workshop: Workshop, prefer: str) -> None:
    bench, agent = await _open(workshop)
    for method, path, body in (
        ("POST", "/customers", {"id": 9}),
        ("PUT", "/customers?id=eq.9", {"id": 9, "name": "x"}),
        ("PATCH", "/customers?id=eq.1", {"name": "x"}),
        ("DELETE", "/customers?id=eq.1", None),
        ("POST", "/customers?columns=id", [{"id": 9}]),
        ("PATCH", "/customers?id=eq.1&select=id,orders(id)", {"name": "x"}),
    ):
        answer = await agent.http.request(method, path, json=body, headers={"prefer": prefer})
        assert read_refusal(answer) == (403, "read_only"), (method, path)
        assert answer.json()["details"] == {"denied": ["public.customers"]}
        assert "read" in answer.json()["message"]
    assert await bench.rows("SELECT * FROM customers ORDER BY id") == [
        {"id": 1, "name": "Ada"},
        {"id": 2, "name": "Bob"},
    ]
    assert await bench.sessions() == []


@on_both_backends
async def test_the_others_are_written_and_all_of_them_are_read(workshop: Workshop) -> None:
    _, agent = await _open(workshop)
    write = await agent.write("PATCH", "/orders?id=eq.4&select=id,state,customers(name)", {"state": "sent"})
    assert write.answer.json() == [{"id": 4, "state": "sent", "customers": {"name": "Ada"}}]
    assert [one[:2] for one in write.row_changes()] == [("orders", "update")]
    assert (await agent.http.get("/customers?id=eq.2")).json() == [{"id": 2, "name": "Bob"}]
    assert read_refusal(await agent.http.get("/secrets")) == (403, "table_denied")
    assert read_refusal(await agent.http.post("/secrets", json={"id": 2})) == (403, "table_denied")


@on_both_backends
async def test_a_cascade_does_not_reach_a_table_that_may_only_be_read(workshop: Workshop) -> None:
    """What the agent may not delete itself, it may not delete by way of a foreign key."""
    bench, agent = await _open(workshop)
    answer = await agent.http.delete("/orders?id=eq.1")
    assert read_refusal(answer) == (403, "read_only")
    assert answer.json()["details"] == {"denied": ["public.lines"]}
    assert "foreign key" in answer.json()["message"]
    assert await bench.rows("SELECT count(*) AS n FROM orders") == [{"n": 4}]
    deleted = await agent.write("DELETE", "/orders?id=eq.2")
    assert sorted(one[:2] for one in deleted.row_changes()) == [("orders", "delete"), ("parcels", "update")]
    assert (await agent.http.delete("/orders?id=eq.3")).status_code == 204


@on_both_backends
async def test_functions_have_a_list_of_their_own(workshop: Workshop) -> None:
    bench, agent = await _open(workshop, functions=["close_order"])
    assert (await agent.http.post("/rpc/close_order", json={"k": 1})).status_code == 204
    assert read_refusal(await agent.http.get("/rpc/count_orders")) == (403, "table_denied")
    everywhere = await bench.agent(functions=["rpc/count_orders"])
    assert (await everywhere.http.get("/rpc/count_orders")).json() == 4
    assert (await everywhere.http.get("/secrets")).json() == [{"id": 1, "pin": "pin1"}]
    assert (await everywhere.http.get("/orders?select=id,customers(name)&id=eq.1")).status_code == 200
    assert read_refusal(await everywhere.http.post("/rpc/close_order", json={"k": 1})) == (403, "table_denied")
    nothing = await bench.agent(access="read", functions=[])
    assert read_refusal(await nothing.http.get("/rpc/count_orders")) == (403, "table_denied")


@on_both_backends
async def test_a_body_that_cannot_be_written_is_not_read(workshop: Workshop) -> None:
    _, agent = await _open(workshop)
    for length in (40, 16 * 1024 * 1024):
        async with call_by_hand(agent) as connection:
            connection.begin("POST", "/customers", length)
            async with asyncio.timeout(10):
                status, body = await connection.answer()
            assert (status, body["code"]) == (403, "read_only")


async def test_the_description_offers_only_what_may_be_done(workshop: Workshop) -> None:
    _, agent = await _open(workshop)
    paths = (await agent.http.get("/")).json()["paths"]
    assert sorted(paths["/orders"]) == ["delete", "get", "patch", "post"]
    assert sorted(paths["/customers"]) == ["get"]
    assert "/secrets" not in paths
    shown = [one["name"] for one in (await agent.api.get("/introspect")).json()["tables"]]
    assert shown == ["customers", "lines", "orders", "parcels"]
