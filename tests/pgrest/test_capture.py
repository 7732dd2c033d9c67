"""What the gateway builds on: keys in, keys out, conditions on their own, and what a plan tells."""

import json
from typing import Any

import pytest

from pgrest import (
    Builder,
    DbConnection,
    DeletePlan,
    InsertPlan,
    Keys,
    Plan,
    ReadPlan,
    RestConfig,
    Result,
    Schema,
    Statement,
    UpdatePlan,
    build_statement,
    key_columns,
    parse_request,
    plan_request,
    read_result,
    where_sql,
)


def plan(schema: Schema, method: str, target: str, body: Any = None, **headers: str) -> Plan:
    path, _, query = target.partition("?")
    raw = b"" if body is None else json.dumps(body).encode()
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return plan_request(schema, parse_request(method, path, query.encode(), pairs, raw), RestConfig())


async def run(conn: DbConnection, what: Plan, *, keys: Keys | None = None, report_keys: bool = True) -> Result:
    assert isinstance(what, (InsertPlan, UpdatePlan, DeletePlan))
    [rows] = await conn.run([build_statement(what, keys=keys, report_keys=report_keys)])
    return read_result(what, rows)


async def test_an_insert_reports_the_keys_it_made(conn: DbConnection, schema: Schema) -> None:
    made = plan(
        schema, "POST", "/orders?select=*", [{"customer_id": 1}, {"customer_id": 2}], prefer="return=representation"
    )
    result = await run(conn, made)
    assert result.keys == (("101",), ("102",))
    body = bytes(result.body)
    assert b"bw_new_0" not in body
    assert list(json.loads(body)[0]) == list(schema.tables["public", "orders"].columns)


async def test_an_update_reports_old_and_new_keys(conn: DbConnection, schema: Schema) -> None:
    update = plan(schema, "PATCH", "/items?sku=eq.a&order_id=eq.1", {"order_id": 3})
    result = await run(conn, update)
    assert result.keys == (("1", "a", "3", "a"),)


async def test_given_keys_restrict_an_update_besides_its_filter(conn: DbConnection, schema: Schema) -> None:
    update = plan(schema, "PATCH", "/orders?customer_id=eq.1", {"total": 1})
    assert isinstance(update, UpdatePlan)
    result = await run(conn, update, keys=Keys(("id",), (("2",), ("3",))))
    assert result.keys == (("2", "2"),)
    [left] = await conn.run([Statement("SELECT id FROM orders WHERE total <> 1 ORDER BY id")])
    assert left.rows == [(b"1",), (b"3",)]


async def test_given_keys_restrict_a_delete_of_a_composite_key(conn: DbConnection, schema: Schema) -> None:
    delete = plan(schema, "DELETE", "/items")
    result = await run(conn, delete, keys=Keys(("order_id", "sku"), (("1", "a"), ("1", "b"), ("9", "z"))))
    assert sorted(result.keys or ()) == [("1", "a"), ("1", "b")]


async def test_an_upsert_reports_every_row_it_touched(conn: DbConnection, schema: Schema) -> None:
    rows = [{"id": 1, "name": "A"}, {"id": 77, "name": "B"}]
    upsert = plan(schema, "POST", "/customers", rows, prefer="resolution=merge-duplicates")
    assert (await run(conn, upsert)).keys == (("1",), ("77",))


async def test_equal_rows_of_a_table_without_key_are_distinguished(conn: DbConnection, schema: Schema) -> None:
    notes = schema.tables["public", "notes"]
    assert key_columns(notes) == ("ctid",)
    [found] = await conn.run([Statement("SELECT ctid::text FROM notes WHERE body = 'two' LIMIT 1 FOR UPDATE")])
    one = (found.rows[0][0] or b"").decode()
    update = plan(schema, "PATCH", "/notes?body=eq.two", {"body": "three"})
    result = await run(conn, update, keys=Keys(("ctid",), ((one,),)))
    assert result.keys is not None
    assert [row[0] for row in result.keys] == [one]
    [counted] = await conn.run([Statement("SELECT count(*) FROM notes WHERE body = 'two'")])
    assert counted.rows == [(b"1",)]


async def test_a_total_unique_key_stands_in_for_a_primary_one(schema: Schema) -> None:
    assert key_columns(schema.tables["public", "rooms"]) == ("place", "number")


async def test_a_hundred_thousand_keys_are_quick(conn: DbConnection, schema: Schema) -> None:
    await conn.run([Statement("INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1000, 101000) n")])
    delete = plan(schema, "DELETE", "/customers?name=neq.c1000")
    keys = Keys(("id",), tuple((str(n),) for n in range(1000, 101_000)))
    result = await run(conn, delete, keys=keys)
    assert len(result.keys or ()) == 99_999


async def test_conditions_render_for_a_statement_of_ones_own(conn: DbConnection, schema: Schema) -> None:
    update = plan(schema, "PATCH", "/orders?or=(id.eq.1,state.eq.sent)&total=lt.8", {"total": 0})
    assert isinstance(update, UpdatePlan)
    builder = Builder()
    sql = f"SELECT o.id FROM orders AS o WHERE {where_sql(builder, update, 'o')} FOR UPDATE"
    [rows] = await conn.run([builder.statement(sql)])
    assert rows.rows == [(b"3",)]
    bare = plan(schema, "DELETE", "/orders")
    assert isinstance(bare, DeletePlan)
    assert where_sql(Builder(), bare, "o") == "true"


@pytest.mark.parametrize(
    ("target", "is_filtered"),
    [
        ("/orders?id=eq.1", True),
        ("/orders?or=(id.eq.1,id.eq.2)", True),
        ("/orders", False),
        ("/orders?select=id&order=id&limit=1&columns=id", False),
        ("/orders?select=customers!customer_id(id)&customers.id=eq.1", False),
    ],
)
async def test_only_conditions_on_the_table_itself_filter_a_write(
    schema: Schema, target: str, is_filtered: bool
) -> None:
    delete = plan(schema, "DELETE", target)
    assert isinstance(delete, DeletePlan)
    assert delete.is_filtered is is_filtered


async def test_a_plan_lists_every_table_it_touches(schema: Schema) -> None:
    read = plan(schema, "GET", "/orders?select=*,products(title),customers!customer_id(passports())")
    assert isinstance(read, ReadPlan)
    names = ("orders", "products", "items", "customers", "passports")
    assert read.tables_read == {("public", name) for name in names}
    write = plan(schema, "PATCH", "/orders?id=eq.1&select=items(sku)", {"total": 1}, prefer="return=representation")
    assert isinstance(write, UpdatePlan)
    assert write.tables_written == {("public", "orders")}
    assert write.tables_read == {("public", "orders"), ("public", "items")}


async def test_the_snapshot_knows_cascades_into_schemas_that_are_not_exposed(schema: Schema) -> None:
    customers = schema.tables["public", "customers"]
    inward = {(key.table, key.on_delete) for key in customers.foreign_keys_in}
    assert (("hidden", "secrets"), "CASCADE") in inward
    assert (("public", "orders"), "SET NULL") in inward
    orders = schema.tables["public", "orders"].columns
    assert (orders["id"].identity, orders["state"].enum_values) == ("d", ("new", "paid", "sent"))
    assert orders["total"].type == "numeric(10,2)"
    assert schema.tables["public", "products"].columns["words"].generated
