"""Snapshots of a changing catalogue: nothing changed is missed, nothing else is read again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from pgrest import DbConnection, Schema, Statement, is_reach_current, is_reach_same, load_schema, reach_check
from pgrest.schema.catalog_version import CatalogVersion, ask_catalog_version, read_catalog_version
from pgrest.schema.introspection import Snapshot, load_snapshot
from tests.fixtures.postgres import PostgresServer

SCHEMAS = ["public"]


@pytest.fixture
async def other(shop: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Another client, each statement on its own."""
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as connection:
        yield connection


async def pulse_of(conn: DbConnection, since: str = "") -> CatalogVersion:
    (rows,) = await conn.run([ask_catalog_version(conn.server_version, since=since, whole=True)])
    return read_catalog_version(rows)


def parts(pulse: CatalogVersion) -> tuple[Any, ...]:
    return (pulse.names, pulse.code, pulse.roles, pulse.shape)


def describe(schema: Schema) -> dict[str, Any]:
    """All that a snapshot says."""
    return {
        "tables": list(schema.tables.items()),
        "functions": dict(schema.functions),
        "relationships": {name: schema.relationships[name] for name in sorted(schema.relationships)},
        "reaches": {name: schema.reaches[name] for name in schema.reaches},
        "representations": schema.representations,
        "media": schema.media_handlers,
        "roles": schema.roles,
        "comments": schema.comments,
        "stamps": schema.stamps,
        "timezones": schema.timezones,
    }


def count_read(before: Snapshot, after: Snapshot) -> int:
    known = before.catalogue.relations
    return sum(known.get(oid) is not one for oid, one in after.catalogue.relations.items())


CHANGES = [
    ("ALTER TABLE orders ADD COLUMN extra int DEFAULT 5", 1),
    ("ALTER TABLE orders RENAME COLUMN extra TO more", 1),
    ("ALTER TABLE orders ALTER COLUMN more TYPE bigint", 1),
    ("ALTER TABLE orders ALTER COLUMN more SET DEFAULT 7", 1),
    ("ALTER TABLE orders ALTER COLUMN more SET NOT NULL", 1),
    ("COMMENT ON COLUMN orders.more IS 'and more'", 1),
    ("ALTER TABLE orders DROP COLUMN more", 1),
    ("ALTER TABLE rooms ALTER COLUMN label TYPE varchar(40)", 1),
    ("ALTER TABLE rooms ALTER COLUMN label TYPE varchar(80)", 1),
    ("CREATE TABLE visits (id int PRIMARY KEY, room text, customer_id int)", 1),
    ("ALTER TABLE visits ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE", 2),
    ("ALTER TABLE visits ALTER CONSTRAINT visits_customer_id_fkey DEFERRABLE", 1),
    ("ALTER TABLE visits DROP CONSTRAINT visits_customer_id_fkey", 2),
    ("CREATE UNIQUE INDEX visits_room ON visits (room)", 1),
    ("DROP INDEX visits_room", 1),
    ("ALTER TABLE visits ENABLE ROW LEVEL SECURITY", 1),
    ("ALTER TABLE visits OWNER TO web_reader", 1),
    (
        "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        0,
    ),
    ("CREATE TRIGGER noted BEFORE INSERT ON visits FOR EACH ROW EXECUTE FUNCTION note_it()", 1),
    ("ALTER TABLE visits DISABLE TRIGGER noted", 1),
    ("ALTER FUNCTION note_it() RENAME TO note_that", None),
    ("CREATE VIEW visitors AS SELECT v.id, c.name FROM visits v JOIN customers c ON c.id = v.customer_id", None),
    ("CREATE OR REPLACE VIEW visitors AS SELECT v.id, c.name FROM visits v JOIN customer_names c ON c.id = v.id", None),
    ("DROP VIEW visitors", 0),
    ("CREATE MATERIALIZED VIEW totals AS SELECT id, total FROM orders", 1),
    ("CREATE FUNCTION twice(a int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT a * 2'", 0),
    ("CREATE OR REPLACE FUNCTION twice(a int) RETURNS int STABLE LANGUAGE sql AS 'SELECT a + a'", 0),
    ("ALTER FUNCTION twice(int) SET statement_timeout = '1s'", 0),
    ("CREATE FUNCTION visits(customers) RETURNS SETOF visits STABLE LANGUAGE sql AS 'SELECT * FROM visits'", 0),
    ("DROP FUNCTION twice(int)", 0),
    ("ALTER TYPE state ADD VALUE 'lost'", None),
    ("ALTER TYPE state RENAME TO condition", None),
    ("CREATE DOMAIN email AS text", None),
    ("ALTER TABLE customers ALTER COLUMN email TYPE email", 1),
    ("ALTER DOMAIN email SET DEFAULT 'nobody@example.com'", None),
    ("ALTER TABLE visits RENAME TO calls", None),
    ("ALTER SEQUENCE orders_id_seq RENAME TO orders_numbers", None),
    ("ALTER SCHEMA hidden RENAME TO secret", None),
    ("COMMENT ON SCHEMA public IS 'the shop'", 0),
    ("CREATE TABLE days (at date) PARTITION BY RANGE (at)", 1),
    ("CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')", 2),
    ("ALTER TABLE days DETACH PARTITION days_1", 2),
    ("ALTER ROLE web_reader SET statement_timeout = '2s'", 0),
    ("ALTER ROLE web_reader RESET statement_timeout", 0),
    ("GRANT SELECT ON orders TO web_reader", 1),
    ("REVOKE SELECT ON orders FROM web_reader", 1),
    ("GRANT SELECT (place) ON rooms TO web_reader", 1),
    ("REVOKE USAGE ON SCHEMA public FROM web_reader", 0),
    ("GRANT web_reader TO web_anon", 0),
    ("REVOKE web_reader FROM web_anon", 0),
    ("DROP TABLE days, days_1", 0),
]


async def test_each_change_is_noticed_and_read_and_little_else(
    conn: DbConnection, other: psycopg.AsyncConnection[Any]
) -> None:
    """`None`: names changed that may stand in anything's text, so that everything is read."""
    before = await load_snapshot(conn, SCHEMAS)
    for change, most_read in CHANGES:
        await other.execute(change.encode())
        pulse = await pulse_of(conn)
        assert parts(pulse) != parts(before.catalogue.pulse), change
        after = await load_snapshot(conn, SCHEMAS, known=before, pulse=pulse)
        assert describe(after.schema) == describe(await load_schema(conn, SCHEMAS)), change
        if most_read is not None:
            assert count_read(before, after) == most_read, change
        before = after


@pytest.mark.parametrize(
    "routine",
    [
        "INSERT INTO notes VALUES ('three', NULL); UPDATE customers SET name = 'Z'; DELETE FROM items",
        "ANALYZE",
        "VACUUM (FREEZE, ANALYZE)",
        "CREATE TEMP TABLE passing (id int PRIMARY KEY, a text, UNIQUE (a)); CREATE TEMP VIEW gone AS SELECT 1 AS one",
        "TRUNCATE items",
        "VACUUM FULL orders",
        "CREATE INDEX ON orders (total)",
        "REINDEX TABLE customers",
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS one; REFRESH MATERIALIZED VIEW m; DROP MATERIALIZED VIEW m",
        "ALTER TABLE orders SET (fillfactor = 90)",
    ],
    ids=lambda routine: "-".join(routine.split()[:2]).lower(),
)
async def test_what_is_no_change_is_taken_for_none(
    conn: DbConnection, other: psycopg.AsyncConnection[Any], schema: Schema, routine: str
) -> None:
    """The large catalogues have rows of indexes too; what matters is that no relation is taken for another."""
    before = await load_snapshot(conn, SCHEMAS)
    for statement in routine.split("; "):
        await other.execute(statement.encode())
    after = await pulse_of(conn)
    assert (after.names, after.code, after.roles) == parts(before.catalogue.pulse)[:3]
    if not routine.startswith(("CREATE INDEX", "CREATE MATERIALIZED")):
        assert after.shape == before.catalogue.pulse.shape
    assert count_read(before, await load_snapshot(conn, SCHEMAS, known=before, pulse=after)) == 0
    for table in ("customers", "orders", "items"):
        (rows,) = await conn.run([reach_check(schema, ("public", table))])
        assert is_reach_current(schema, ("public", table), rows)


async def test_while_nothing_happens_nothing_is_asked(conn: DbConnection, other: psycopg.AsyncConnection[Any]) -> None:
    first = await pulse_of(conn)
    again = await pulse_of(conn, first.moment)
    assert (again.moment, again.quick_check, again.shape) == (first.moment, None, None)
    await other.execute("UPDATE customers SET name = 'Y'")
    assert (await pulse_of(conn, first.moment)).shape == first.shape


# Reach --------------------------------------------------------------------------------------------------


def test_a_write_reaches_as_far_as_foreign_keys_act(schema: Schema) -> None:
    assert schema.reaches["public", "items"] == (("public", "items"),)
    assert schema.reaches["public", "products"] == (("public", "products"),)
    assert set(schema.reaches["public", "customers"]) == {
        ("public", "customers"),
        ("public", "orders"),
        ("public", "items"),
        ("hidden", "secrets"),
    }


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE items ADD COLUMN extra int",
        "ALTER TABLE orders ALTER COLUMN state SET DEFAULT 'paid'",
        "ALTER TABLE customers ALTER COLUMN email TYPE varchar",
        "ALTER TABLE notes ADD COLUMN customer_id int REFERENCES customers ON DELETE CASCADE",
        "ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey",
        "ALTER TABLE items DROP CONSTRAINT items_pkey",
        "ALTER TABLE orders RENAME TO sales",
        "DROP TABLE hidden.secrets",
        "ALTER TABLE items ENABLE ROW LEVEL SECURITY",
        "CREATE TRIGGER t BEFORE UPDATE ON items FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    ],
)
async def test_a_change_within_reach_is_seen_by_the_write(
    conn: DbConnection, other: psycopg.AsyncConnection[Any], schema: Schema, change: str
) -> None:
    customers, products = ("public", "customers"), ("public", "products")
    await other.execute(change.encode())
    await conn.run([Statement("BEGIN")])
    far, near = await conn.run([reach_check(schema, products), reach_check(schema, customers)])
    assert not is_reach_current(schema, customers, near)
    assert not await is_reach_same(conn, schema, customers)
    if "items" not in change:  # which refers to products
        assert is_reach_current(schema, products, far)
    assert await is_reach_same(conn, schema, products)
    await conn.run([Statement("ROLLBACK")])


@pytest.mark.parametrize("change", ["GRANT SELECT ON orders TO web_reader", "COMMENT ON TABLE orders IS 'x'"])
async def test_what_only_looks_like_a_change_is_none_to_a_write(
    conn: DbConnection, other: psycopg.AsyncConnection[Any], schema: Schema, change: str
) -> None:
    await other.execute(change.encode())
    orders = ("public", "orders")
    _, rows = await conn.run([Statement("BEGIN"), reach_check(schema, orders)])
    if change.startswith("GRANT"):
        assert not is_reach_current(schema, orders, rows)
        assert await is_reach_same(conn, schema, orders)
    else:
        assert is_reach_current(schema, orders, rows)
    await conn.run([Statement("ROLLBACK")])


async def test_a_partition_made_on_the_way_makes_no_other_table(conn: DbConnection) -> None:
    await conn.run([Statement("CREATE TABLE days (at date PRIMARY KEY) PARTITION BY RANGE (at)")])
    schema, days = await load_schema(conn, SCHEMAS), ("public", "days")
    made = "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
    *_, rows = await conn.run([Statement("BEGIN"), Statement(made), reach_check(schema, days)])
    assert not is_reach_current(schema, days, rows)
    assert await is_reach_same(conn, schema, days)
    [path] = await conn.run([Statement("SHOW search_path")])
    assert path.rows == [(b'"$user", public',)]


# Relationships and views --------------------------------------------------------------------------------


async def test_a_junction_of_fifty_foreign_keys_is_no_burden(conn: DbConnection) -> None:
    keys = [f"k{number}" for number in range(32)]
    targets = "".join(f"CREATE TABLE t{number} (id int PRIMARY KEY);" for number in range(50))
    ways = ", ".join(f"FOREIGN KEY ({keys[number % 32]}) REFERENCES t{number}" for number in range(50))
    script = f"{targets} CREATE TABLE middle ({' int, '.join(keys)} int, PRIMARY KEY ({', '.join(keys)}), {ways})"
    for statement in script.split(";"):
        await conn.run([Statement(statement)])
    schema = await load_schema(conn, SCHEMAS)
    leading = schema.relationships["public", "t0"]
    assert sorted(one.cardinality for one in leading) == ["many-to-many"] * 49 + ["one-to-many"]
    assert len(schema.relationships["public", "middle"]) == 50


async def test_view_keys_are_found_whatever_their_names(conn: DbConnection) -> None:
    script = r"""
        CREATE TABLE "a {b\ (}" (id int PRIMARY KEY, "}:targetList (" int REFERENCES "a {b\ (}");
        CREATE VIEW odd AS SELECT (SELECT count(*) FROM "a {b\ (}" o WHERE o.id = i.id) AS "{n", id,
          "}:targetList (" AS "x :resno 9" FROM (SELECT * FROM "a {b\ (}") i WHERE id IN (SELECT id FROM customers);
        CREATE VIEW odder AS SELECT "x :resno 9" AS up, id AS own FROM odd
    """
    for statement in script.split(";"):
        await conn.run([Statement(statement)])
    schema = await load_schema(conn, SCHEMAS)
    assert schema.tables["public", "odd"].primary_key == ("id",)
    assert schema.tables["public", "odder"].primary_key == ("own",)
    ways = {(one.target[1], one.columns) for one in schema.relationships["public", "odder"]}
    assert ("odder", (("up", "own"),)) in ways
    assert ("odd", (("own", "x :resno 9"),)) in ways


# Loading under difficulties -----------------------------------------------------------------------------


async def test_loading_withstands_ddl_meanwhile(shop: str, other: psycopg.AsyncConnection[Any]) -> None:
    """What the transaction sees may be gone when the server is asked to spell it."""
    is_over = False

    async def change() -> None:
        while not is_over:
            await other.execute(
                b"""CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
                    CREATE TABLE c (id serial PRIMARY KEY, a int DEFAULT f());
                    CREATE VIEW v AS SELECT * FROM c"""
            )
            await other.execute(b"DROP VIEW v; DROP TABLE c; DROP FUNCTION f()")
            await asyncio.sleep(0.02)

    changing = asyncio.create_task(change())
    loader = await DbConnection.connect(shop)
    try:
        for _ in range(10):
            assert ("public", "orders") in (await load_schema(loader, SCHEMAS)).tables
    finally:
        is_over = True
        await changing
        await loader.close()


async def test_what_a_session_left_behind_hides_no_catalogue(conn: DbConnection, schema: Schema) -> None:
    before = await pulse_of(conn)
    for name in ("class", "attribute", "namespace", "trigger", "constraint", "type"):
        await conn.run([Statement(f"CREATE TEMP TABLE pg_{name} (oid oid)")])
    assert parts(await pulse_of(conn)) == parts(before)
    assert describe(await load_schema(conn, SCHEMAS)) == describe(schema)
    (rows,) = await conn.run([reach_check(schema, ("public", "customers"))])
    assert is_reach_current(schema, ("public", "customers"), rows)


async def test_a_view_that_is_being_changed_is_not_waited_for(
    conn: DbConnection, other: psycopg.AsyncConnection[Any]
) -> None:
    async with other.transaction():
        await other.execute("LOCK TABLE customer_names IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(10):
            schema = await load_schema(conn, SCHEMAS)
    assert ("public", "customer_names") in schema.tables
    assert schema.tables["public", "customer_names"].updatable


async def test_a_role_without_privileges_may_load(postgres: PostgresServer, shop: str) -> None:
    role, password = "poor_loader", "poor-pa55"
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as admin:
        await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'".encode())
        await admin.execute("REVOKE ALL ON SCHEMA public, hidden FROM PUBLIC")
        await admin.execute("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC")
        await admin.execute(f"ALTER ROLE {role} SET statement_timeout = '5ms'".encode())
    loader = await DbConnection.connect(f"postgresql://{role}:{password}@{shop.rpartition('@')[2]}")
    loading = await load_schema(loader, SCHEMAS)
    [timeout] = await loader.run([Statement("SHOW statement_timeout")])
    await loader.close()
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as admin:
        await admin.execute(f"DROP ROLE {role}".encode())
    assert ("hidden", "secrets") in loading.tables
    assert timeout.rows == [(b"5ms",)]
