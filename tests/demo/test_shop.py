import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from basewarden.core.secret import Secret
from basewarden.demo.shop import ShopAccess, create_shop, digest_tables
from basewarden.demo.shop.load import make_shop_url
from basewarden.errors import StartError
from tests.fixtures.postgres import PostgresServer

PASSWORD = Secret("kept-by-the-caller")
SMALL = 0.05


async def make_shop(
    postgres: PostgresServer, database: str, *, scale: float = SMALL, password: Secret | None = PASSWORD
) -> ShopAccess:
    admin_dsn = postgres.embedded.dsn("postgres")
    return await create_shop(admin_dsn, database=database, scale=scale, password=password, progress=lambda _: None)


@pytest.fixture(scope="module")
async def shop(postgres: PostgresServer) -> AsyncIterator[str]:
    access = await make_shop(postgres, "shop_of_the_tests", scale=1)
    yield access.dsn.reveal()
    await postgres.drop_database(postgres.embedded.dsn("shop_of_the_tests"))


@pytest.fixture
async def owner(shop: str) -> AsyncIterator[AsyncConnection]:
    """The shop's owner in a transaction that is rolled back."""
    async with await AsyncConnection.connect(shop) as connection:
        yield connection
        await connection.rollback()


async def ask(connection: AsyncConnection, query: LiteralString, *values: object) -> Any:
    row = await (await connection.execute(query, values)).fetchone()
    assert row is not None
    return row[0]


async def become(connection: AsyncConnection, role: str, **claims: object) -> None:
    text = json.dumps({"role": role, **claims})
    await connection.execute("SELECT set_config('request.jwt.claims', %s, true)", (text,))
    await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))


class TestMaking:
    async def test_two_shops_are_equal_to_the_last_bit(self, postgres: PostgresServer, shop: str) -> None:
        twin = await make_shop(postgres, "shop_twin", scale=1)
        assert await digest_tables(twin.dsn.reveal()) == await digest_tables(shop)
        await postgres.drop_database(postgres.embedded.dsn("shop_twin"))

    async def test_a_complete_shop_is_left_alone(self, postgres: PostgresServer) -> None:
        access = await make_shop(postgres, "shop_kept")
        async with await AsyncConnection.connect(access.dsn.reveal()) as connection:
            await connection.execute("DELETE FROM messages")
        before = await digest_tables(access.dsn.reveal())
        assert await make_shop(postgres, "shop_kept") == access
        assert await digest_tables(access.dsn.reveal()) == before

    async def test_without_a_password_the_owner_gets_a_new_one(self, postgres: PostgresServer) -> None:
        old = await make_shop(postgres, "shop_kept")
        new = await make_shop(postgres, "shop_kept", password=None)
        try:
            assert await digest_tables(new.dsn.reveal())
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                await digest_tables(old.dsn.reveal())
        finally:
            await make_shop(postgres, "shop_kept")

    async def test_a_half_made_shop_is_made_again(self, postgres: PostgresServer) -> None:
        half = await postgres.create_database(name="shop_broken_in_the_making")
        async with await AsyncConnection.connect(half) as connection:
            await connection.execute("CREATE TABLE customers (id integer)")
        access = await make_shop(postgres, "shop_broken")
        async with await AsyncConnection.connect(access.dsn.reveal()) as connection:
            assert await ask(connection, "SELECT count(*) FROM customers") == 250
            assert not await ask(
                connection, "SELECT count(*) FROM pg_database WHERE datname = 'shop_broken_in_the_making'"
            )

    async def test_two_makers_at_once_make_one_shop(self, postgres: PostgresServer) -> None:
        one, other = await asyncio.gather(make_shop(postgres, "shop_raced"), make_shop(postgres, "shop_raced"))
        assert one == other
        assert await digest_tables(one.dsn.reveal())

    async def test_a_database_that_is_not_the_shop_is_not_touched(self, postgres: PostgresServer) -> None:
        theirs = await postgres.create_database(name="shop_of_another_product")
        with pytest.raises(StartError, match="not the demo shop"):
            await make_shop(postgres, "shop_of_another_product")
        assert await digest_tables(theirs) == {}

    async def test_the_password_is_not_shown(self, shop: str) -> None:
        access = ShopAccess(Secret(shop), PASSWORD)
        assert PASSWORD.reveal() in shop
        assert PASSWORD.reveal() not in repr(access)


@pytest.mark.parametrize(
    "admin_dsn",
    [
        "postgresql://postgres:admin@127.0.0.1:5432/postgres?sslmode=disable",
        "host=/var/run/postgresql user=postgres",
        "postgresql://postgres@[::1]:5432/postgres",
        "host=db.example.com port=6000 options='-c geqo=off'",
    ],
)
def test_shop_url_keeps_the_server_and_changes_the_login(admin_dsn: str) -> None:
    url = make_shop_url(admin_dsn, "odd name", Secret("p@ss/w:rd"))
    login = {"user": "shop_owner", "password": "p@ss/w:rd", "dbname": "odd name"}
    assert conninfo_to_dict(url.reveal()) == conninfo_to_dict(admin_dsn) | login


class TestShape:
    async def test_every_table_has_rows_and_together_they_are_many(self, owner: AsyncConnection) -> None:
        tables = await owner.execute("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'")
        counts = {
            table: (await (await owner.execute(sql.SQL("SELECT count(*) FROM {}").format(name))).fetchall())[0][0]
            for (table,) in await tables.fetchall()
            for name in [sql.Identifier(table)]
        }
        assert len(counts) == 15
        assert min(counts.values()) > 0
        assert sum(counts.values()) >= 60_000

    @pytest.mark.parametrize(
        ("role", "attributes"),
        [  # super, inherit, create role, login, bypass
            ("anon", (False, True, False, False, False)),
            ("authenticated", (False, True, False, False, False)),
            ("service_role", (False, True, False, False, True)),
            ("authenticator", (False, False, False, True, False)),
            ("shop_owner", (False, True, False, True, True)),
        ],
    )
    async def test_roles_are_supabase_s(self, owner: AsyncConnection, role: str, attributes: tuple[bool, ...]) -> None:
        cursor = await owner.execute(
            "SELECT rolsuper, rolinherit, rolcreaterole, rolcanlogin, rolbypassrls FROM pg_roles WHERE rolname = %s",
            (role,),
        )
        assert await cursor.fetchone() == attributes

    @pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
    async def test_owner_and_authenticator_can_take_the_api_roles(self, owner: AsyncConnection, role: str) -> None:
        assert await ask(owner, "SELECT pg_has_role('authenticator', %s, 'MEMBER')", role)
        await become(owner, role)
        assert await ask(owner, "SELECT current_user") == role

    async def test_owner_owns_the_database_and_every_table(self, owner: AsyncConnection) -> None:
        query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
        assert await ask(owner, query) == "shop_owner"
        others = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'auth') AND tableowner <> %s"
        assert await ask(owner, others, "shop_owner") == 0

    @pytest.mark.parametrize(
        "query",
        [
            pytest.param("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'c'", id="cascade"),
            pytest.param("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'n'", id="set null"),
            pytest.param("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'r'", id="restrict"),
            pytest.param(
                "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'a'", id="no action"
            ),
            pytest.param("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND condeferrable", id="deferrable"),
            pytest.param("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = confrelid", id="self"),
            pytest.param(
                "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND cardinality(conkey) > 1",
                id="composite fk",
            ),
            pytest.param(
                "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND cardinality(conkey) > 1",
                id="composite key",
            ),
            pytest.param("SELECT count(*) FROM pg_attribute WHERE attidentity = 'a'", id="identity always"),
            pytest.param("SELECT count(*) FROM pg_attribute WHERE attidentity = 'd'", id="identity by default"),
            pytest.param("SELECT count(*) FROM pg_attribute WHERE attgenerated = 's'", id="generated stored"),
            pytest.param(
                "SELECT count(*) FROM pg_attrdef WHERE pg_get_expr(adbin, adrelid) ~ 'gen_random_uuid'",
                id="uuid default",
            ),
            pytest.param(
                "SELECT count(*) FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace",
                id="definer",
            ),
            pytest.param("SELECT count(*) FROM payments WHERE held_until = 'infinity'", id="infinity"),
            pytest.param("SELECT count(*) FROM stock WHERE counted_at = '-infinity'", id="-infinity"),
            pytest.param("SELECT count(*) FROM prices WHERE landed_cost = 'NaN'", id="numeric NaN"),
            pytest.param("SELECT count(*) FROM prices WHERE scale(landed_cost) > 30", id="numeric precision"),
            pytest.param("SELECT count(*) FROM products WHERE rating = 'NaN'", id="float NaN"),
            pytest.param("SELECT count(*) FROM stock WHERE days_of_cover = 'Infinity'", id="float Infinity"),
            pytest.param("SELECT count(*) FROM stock WHERE count_drift::text = '-0'", id="float -0"),
            pytest.param("SELECT count(*) FROM customers WHERE preferences = 'null'", id="JSON null"),
            pytest.param("SELECT count(*) FROM customers WHERE preferences IS NULL", id="SQL NULL"),
            pytest.param(
                "SELECT count(*) FROM payments WHERE provider_payload::text LIKE '%%,  %%'",
                id="json as written",
            ),
            pytest.param(
                "SELECT count(*) FROM payments WHERE provider_reference > 9007199254740992",
                id="bigint > 2^53",
            ),
            pytest.param(
                "SELECT count(*) FROM messages WHERE array_position(attachments, NULL) > 0",
                id="NULL in text[]",
            ),
            pytest.param(
                "SELECT count(*) FROM products WHERE array_position(roast_curve, NULL) > 0",
                id="NULL in int[]",
            ),
            pytest.param("SELECT count(*) FROM orders WHERE gift_message = ''", id="'' beside NULL"),
            pytest.param("SELECT count(*) FROM coupons WHERE upper_inf(valid)", id="open range"),
        ],
    )
    async def test_has(self, owner: AsyncConnection, query: LiteralString) -> None:
        assert await ask(owner, query) > 0

    async def test_columns_are_of_every_kind(self, owner: AsyncConnection) -> None:
        cursor = await owner.execute(
            "SELECT DISTINCT CASE WHEN t.typtype IN ('b', 'p') THEN t.typname ELSE t.typtype::text END"
            " FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid JOIN pg_class c ON c.oid = attrelid"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0"
        )
        kinds = {kind for (kind,) in await cursor.fetchall()}
        assert {"c", "d", "e", "r", "m"} <= kinds  # composite, domain, enum, range, multirange
        assert {"uuid", "text", "bpchar", "bool", "int2", "int4", "int8", "numeric", "float8"} <= kinds
        assert {"date", "time", "timestamptz", "interval", "json", "jsonb", "bytea", "inet"} <= kinds
        assert {"_text", "_int4"} <= kinds

    async def test_every_foreign_key_has_an_index(self, owner: AsyncConnection) -> None:
        cursor = await owner.execute(
            "SELECT conname FROM pg_constraint f WHERE contype = 'f' AND NOT EXISTS ("
            " SELECT FROM pg_index WHERE indrelid = conrelid"
            " AND (indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)"
        )
        assert await cursor.fetchall() == []

    async def test_every_table_says_what_it_is(self, owner: AsyncConnection) -> None:
        query = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'v') AND obj_description(oid) IS NULL"
        assert await ask(owner, query + " AND relnamespace = 'public'::regnamespace") == 0

    async def test_the_next_identity_is_free(self, owner: AsyncConnection) -> None:
        query = "SELECT max(id) FROM orders"
        last = await ask(owner, query)
        customer = await ask(owner, "SELECT id FROM customers LIMIT 1")
        assert await ask(owner, "INSERT INTO orders (customer_id) VALUES (%s) RETURNING number", customer) == (
            f"LR-{last + 1:06}"
        )


RICH_CUSTOMERS: LiteralString = """
    SELECT array_agg(id) FROM (
      SELECT c.id FROM customers c
      WHERE EXISTS (SELECT FROM addresses WHERE customer_id = c.id)
      AND EXISTS (SELECT FROM orders o JOIN payments ON order_id = o.id WHERE o.customer_id = c.id)
      AND EXISTS (SELECT FROM tickets WHERE customer_id = c.id)
      AND NOT EXISTS (SELECT FROM invoices WHERE customer_id = c.id)
      ORDER BY c.id LIMIT 300
    ) AS rich
"""


class TestDeleting:
    async def test_many_customers_go_with_all_that_is_theirs(self, owner: AsyncConnection) -> None:
        rich = await ask(owner, RICH_CUSTOMERS)
        assert len(rich) >= 200
        tables: tuple[LiteralString, ...] = ("addresses", "orders", "order_items", "payments", "refunds")
        before = {table: await ask(owner, f"SELECT count(*) FROM {table}") for table in tables}
        tickets = await ask(owner, "SELECT count(*) FROM tickets WHERE customer_id = ANY (%s)", rich)
        orphans = await ask(owner, "SELECT count(*) FROM tickets WHERE customer_id IS NULL")
        await owner.execute("DELETE FROM customers WHERE id = ANY (%s)", (rich,))
        await owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            assert before[table] - await ask(owner, f"SELECT count(*) FROM {table}") >= 20, table
        assert await ask(owner, "SELECT count(*) FROM tickets WHERE customer_id IS NULL") == orphans + tickets

    async def test_who_was_billed_stays(self, owner: AsyncConnection) -> None:
        with pytest.raises(psycopg.errors.IntegrityError, match="invoices"):
            await owner.execute("DELETE FROM customers WHERE id IN (SELECT customer_id FROM invoices LIMIT 1)")


COUNTS: dict[str, LiteralString] = {
    "customers": "SELECT count(*) FROM customers",
    "addresses": "SELECT count(*) FROM addresses",
    "orders": "SELECT count(*) FROM orders",
    "order_items": "SELECT count(*) FROM order_items",
    "payments": "SELECT count(*) FROM payments",
    "invoices": "SELECT count(*) FROM invoices",
    "tickets": "SELECT count(*) FROM tickets",
    "messages": "SELECT count(*) FROM messages",
    "coupons": "SELECT count(*) FROM coupons",
    "stock": "SELECT count(*) FROM stock",
    "order_overview": "SELECT count(*) FROM order_overview",
    "price_list": "SELECT count(*) FROM price_list",
}


class TestPolicies:
    @pytest.mark.parametrize("table", ["customers", "coupons", "payments", "order_overview", "price_list"])
    async def test_a_visitor_reads(self, owner: AsyncConnection, table: str) -> None:
        await become(owner, "anon")
        assert await ask(owner, COUNTS[table]) > 0

    @pytest.mark.parametrize(
        "table", ["addresses", "orders", "order_items", "invoices", "tickets", "messages", "stock"]
    )
    async def test_a_visitor_does_not_read(self, owner: AsyncConnection, table: str) -> None:
        await become(owner, "anon")
        assert await ask(owner, COUNTS[table]) == 0

    async def test_a_customer_reads_own_orders_but_everyone_s_addresses(self, owner: AsyncConnection) -> None:
        user, orders = (
            await (
                await owner.execute(
                    "SELECT user_id::text, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id"
                    " WHERE user_id IS NOT NULL GROUP BY c.id ORDER BY count(*) DESC, c.id LIMIT 1"
                )
            ).fetchall()
        )[0]
        everything = await ask(owner, COUNTS["addresses"])
        await become(owner, "authenticated", sub=user)
        assert await ask(owner, COUNTS["orders"]) == orders
        assert await ask(owner, COUNTS["addresses"]) == everything
        assert await ask(owner, COUNTS["payments"]) == 0

    async def test_the_is_staff_claim_makes_staff(self, owner: AsyncConnection) -> None:
        everything = await ask(owner, COUNTS["messages"])
        await become(owner, "authenticated", user_metadata={"is_staff": True})
        assert await ask(owner, COUNTS["messages"]) == everything

    async def test_a_visitor_writes_refunds_that_cannot_be_read(self, owner: AsyncConnection) -> None:
        await become(owner, "anon")
        assert (await owner.execute("DELETE FROM refunds")).rowcount > 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await owner.execute("SELECT * FROM refunds")

    async def test_a_visitor_asks_for_a_stranger_s_history(self, owner: AsyncConnection) -> None:
        stranger = await ask(owner, "SELECT customer_id FROM orders LIMIT 1")
        await become(owner, "anon")
        assert await ask(owner, "SELECT count(*) FROM customer_history(%s)", stranger) > 0


class TestFunctions:
    async def test_order_total_is_what_was_paid(self, owner: AsyncConnection) -> None:
        query = "SELECT count(*) FROM payments WHERE amount <> order_total(order_id)"
        assert await ask(owner, query) == 0

    async def test_search_finds_by_name_and_by_tag(self, owner: AsyncConnection) -> None:
        cursor = await owner.execute("SELECT DISTINCT split_part(name, ',', 1) FROM search_products('decaf', false)")
        assert {name for (name,) in await cursor.fetchall()} == {
            "Decaf Colombia Sugarcane",
            "Decaf Mexico Water Process",
        }

    async def test_defaults_can_be_left_out(self, owner: AsyncConnection) -> None:
        assert str(await ask(owner, "SELECT shipping_quote(800)")) == "4.90"
        assert str(await ask(owner, "SELECT shipping_quote(weight_g => 6000, express => true)")) == "18.40"

    async def test_restock_puts_a_sold_out_product_on_sale(self, owner: AsyncConnection) -> None:
        product = await ask(owner, "SELECT min(id) FROM products WHERE status = 'sold_out'")
        await become(owner, "service_role")
        assert await ask(owner, "SELECT (restock('LEI', %s, 40)).available", product) == 40
        assert await ask(owner, "SELECT status FROM products WHERE id = %s", product) == "active"
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            await owner.execute("SELECT restock('LEI', %s, 0)", (product,))

    async def test_an_update_is_stamped_with_the_moment_and_the_person(self, owner: AsyncConnection) -> None:
        user = await ask(owner, "SELECT user_id::text FROM customers WHERE user_id IS NOT NULL LIMIT 1")
        await become(owner, "authenticated", sub=user)
        cursor = await owner.execute(
            "UPDATE customers SET phone = '1' WHERE user_id = auth.uid() RETURNING updated_by, updated_at = now()"
        )
        assert await cursor.fetchall() == [(user, True)]


DISTINCT_VALUES = [
    ("integer", "1", "2"),
    ("bigint", "9007199254740993", "9007199254740992"),
    ("numeric", "1.0", "1.00"),
    ("numeric", "NaN", None),
    ("numeric", "0.1000000000000000000000000000000000001", "0.1000000000000000000000000000000000002"),
    ("float8", "0", "-0"),
    ("float8", "0.1", "0.10000000000000002"),
    ("float8", "NaN", "Infinity"),
    ("float4", "0.1", "0.10000001"),
    ("text", "", None),
    ("text", "NULL", None),
    ("text", "\u00e9", "e\u0301"),
    ("text", "a\\b", "a\\\\b"),
    ("text", 'a"b', "a,b"),
    ("char(3)", "a", "b"),
    ("varchar", "a", "a "),
    ("boolean", "true", "false"),
    ("bytea", "\\x00", "\\x"),
    ("bytea", "\\x00ff", "\\x00fe"),
    ("json", "null", None),
    ("json", '{"a":1}', '{"a": 1}'),
    ("jsonb", "null", None),
    ("jsonb", '"null"', "null"),
    ("jsonb", "1.0", "1"),
    ("uuid", "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000001"),
    ("timestamptz", "2026-11-02 09:30:00.000001+00", "2026-11-02 09:30:00+00"),
    ("timestamptz", "infinity", "-infinity"),
    ("timestamp", "2026-11-02 09:30:00.000001", "2026-11-02 09:30:00"),
    ("date", "0044-03-15 BC", "0044-03-15"),
    ("time", "24:00", "00:00"),
    ("timetz", "12:00+01", "11:00+00"),
    ("interval", "1 mon", "30 days"),
    ("interval", "24:00", "1 day"),
    ("money", "0.01", "0.02"),
    ("inet", "10.0.0.1/24", "10.0.0.1"),
    ("cidr", "10.0.0.0/24", "10.0.0.0/25"),
    ("text[]", "{NULL}", '{"NULL"}'),
    ("text[]", "{}", None),
    ("int4[]", "[0:1]={1,2}", "{1,2}"),
    ("int4[]", "{{1,2}}", "{1,2}"),
    ("daterange", "empty", "[2026-01-01,2026-01-02)"),
    ("tstzrange", "[2026-01-01+00,)", "(2026-01-01+00,)"),
    ("int4multirange", "{[1,2)}", "{}"),
    ("bit(4)", "0101", "0100"),
    ("point", "(0,0)", "(-0,0)"),
    ("geo", "(,)", None),
    ("geo", '("",1)', "(,1)"),
    ("mood", "sad", "happy"),
]


class TestDigest:
    @pytest.mark.parametrize(("type_name", "one", "other"), DISTINCT_VALUES)
    async def test_it_distinguishes_values(
        self, scratch: str, type_name: LiteralString, one: str | None, other: str | None
    ) -> None:
        digests = []
        for value in (one, other, one):
            async with await AsyncConnection.connect(scratch) as connection:
                await connection.execute("DROP TABLE IF EXISTS probe")
                await connection.execute(f"CREATE TABLE probe (t {type_name}, tail text DEFAULT 'x')")
                await connection.execute(f"INSERT INTO probe (t) VALUES (%s::{type_name})", (value,))
            digests.append((await digest_tables(scratch))["public.probe"])
        assert digests[0] != digests[1]
        assert digests[0] == digests[2]

    async def test_counts_equal_rows_and_does_not_see_their_order(self, scratch: str) -> None:
        digests = []
        for rows in ("(1), (2)", "(2), (1)", "(1), (2), (2)", "(1), (1), (2)"):
            async with await AsyncConnection.connect(scratch) as connection:
                await connection.execute("DROP TABLE IF EXISTS probe")
                await connection.execute(f"CREATE TABLE probe AS VALUES {rows}")
            digests.append((await digest_tables(scratch))["public.probe"])
        assert digests[0] == digests[1]
        assert len(set(digests)) == 3

    async def test_does_not_depend_on_the_login_s_settings(self, shop: str) -> None:
        odd = "-c TimeZone=Asia/Tokyo -c DateStyle=German -c bytea_output=escape -c extra_float_digits=-15"
        assert await digest_tables(make_conninfo(shop, options=odd)) == await digest_tables(shop)

    async def test_a_role_that_policies_would_blind_gets_an_error(self, shop: str) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await digest_tables(make_conninfo(shop, options="-c role=authenticated"))


@pytest.fixture(scope="module")
async def scratch(postgres: PostgresServer) -> AsyncIterator[str]:
    dsn = await postgres.create_database()
    async with await AsyncConnection.connect(dsn) as connection:
        await connection.execute("CREATE TYPE geo AS (a text, b int)")
        await connection.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    yield dsn
    await postgres.drop_database(dsn)
