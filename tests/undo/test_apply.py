"""Undo on a real PostgreSQL: what is restored, what is refused, what stays."""

import pytest

from tests.undo.conftest import OpenWorld
from tests.undo.support import UndoWorld

PEOPLE = """
    CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, note text);
    INSERT INTO people SELECT n, 'person ' || n, n || '@x.org', NULL FROM generate_series(1, 5) n;
"""
SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, name text);
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers ON DELETE CASCADE, total numeric);
    CREATE TABLE tickets (id int PRIMARY KEY, customer_id int REFERENCES customers ON DELETE SET NULL);
    CREATE TABLE items (
        order_id int REFERENCES orders ON DELETE CASCADE, line int, qty int, PRIMARY KEY (order_id, line)
    );
    INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 3) n;
    INSERT INTO orders SELECT n, 1 + n % 3, n * 1.50 FROM generate_series(1, 9) n;
    INSERT INTO tickets SELECT n, 1 + n % 3 FROM generate_series(1, 6) n;
    INSERT INTO items SELECT o, l, o * l FROM generate_series(1, 9) o, generate_series(1, 3) l;
"""


async def check_exact(world: UndoWorld, before: dict[str, list[str]]) -> None:
    """After the undo all rows are as before; after undoing the undo they are as the session left them."""
    left = await world.digest()
    plan, applied = await world.undo()
    assert applied is not None, plan.conflicts
    assert await world.digest() == before
    plan, applied = await world.undo()
    assert applied is not None, plan.conflicts
    assert await world.digest() == left


async def test_insert_update_delete_go_back(open_world: OpenWorld) -> None:
    world = await open_world(PEOPLE)
    before = await world.digest()
    await world.act("INSERT INTO people VALUES (9, 'new', '9@x.org', 'n');")
    await world.act("UPDATE people SET name = upper(name), note = '' WHERE id < 4;")
    await world.act("DELETE FROM people WHERE id IN (2, 5);")
    await world.act("UPDATE people SET note = 'twice' WHERE id = 1;")
    await check_exact(world, before)


async def test_later_edit_of_another_column_stays(open_world: OpenWorld) -> None:
    world = await open_world(PEOPLE)
    await world.run("UPDATE people SET note = 'theirs' WHERE id = 1;")
    expected = await world.digest()
    await world.run("UPDATE people SET note = NULL WHERE id = 1;")
    await world.act("UPDATE people SET name = 'mine';")
    await world.run("UPDATE people SET note = 'theirs' WHERE id = 1;")
    plan, applied = await world.undo()
    assert applied is not None
    assert not plan.conflicts
    assert await world.digest() == expected


async def test_later_edit_of_the_same_column_refuses_and_skips(open_world: OpenWorld) -> None:
    world = await open_world(PEOPLE)
    await world.act("UPDATE people SET name = 'mine', note = 'mine' WHERE id < 3;")
    await world.run("UPDATE people SET name = 'theirs' WHERE id = 1;")
    digests = await world.digest()
    plan, applied = await world.undo()
    assert applied is None
    assert await world.digest() == digests
    (conflict,) = plan.conflicts
    assert (conflict.primary_key, conflict.columns) == ({"id": 1}, ("name",))
    _, applied = await world.undo(skip=True)
    assert applied is not None
    after = (await world.digest())["public.people"]
    assert "[('id', '1'), ('name', 'theirs'), ('email', '1@x.org'), ('note', 'mine')]" in after
    assert "[('id', '2'), ('name', 'person 2'), ('email', '2@x.org'), ('note', None)]" in after


@pytest.mark.parametrize(
    ("session", "later", "reason"),
    [
        (
            "INSERT INTO people VALUES (9, 'n');",
            "UPDATE people SET note = 'x' WHERE id = 9;",
            "after the session inserted it",
        ),
        ("UPDATE people SET name = 'm' WHERE id = 1;", "DELETE FROM people WHERE id = 1;", "no longer exists"),
        (
            "DELETE FROM people WHERE id = 1;",
            "INSERT INTO people VALUES (1, 'other');",
            "now has the key of the deleted row",
        ),
        (
            "DELETE FROM people WHERE id = 1;",
            "INSERT INTO people VALUES (8, 'o', '1@x.org');",
            "Another row now has its email",
        ),
        (
            "UPDATE people SET email = 'e' WHERE id = 1;",
            "INSERT INTO people VALUES (8, 'o', '1@x.org');",
            "Another row now has its email",
        ),
        ("UPDATE people SET note = 'n' WHERE id = 1;", "ALTER TABLE people DROP COLUMN note;", "no longer exists"),
        ("UPDATE people SET note = 'n' WHERE id = 1;", "DROP TABLE people;", "no longer exists"),
        (
            "UPDATE people SET note = 'n' WHERE id = 1;",
            "ALTER TABLE people ALTER note TYPE bytea USING note::bytea;",
            "changed after",
        ),
        (
            "DELETE FROM people WHERE id = 1;",
            "ALTER TABLE people ALTER email TYPE int USING 0, DROP CONSTRAINT people_email_key;",
            "refused the change",
        ),
        ("DELETE FROM people WHERE id = 1;", "ALTER TABLE people ADD CHECK (id > 1);", "refused the change"),
    ],
)
async def test_conflicts(open_world: OpenWorld, session: str, later: str, reason: str) -> None:
    world = await open_world(PEOPLE)
    await world.act(session)
    await world.run(later)
    digests = await world.digest()
    plan, applied = await world.undo()
    assert applied is None
    assert reason in plan.conflicts[0].reason
    assert await world.digest() == digests


async def test_edit_between_two_writes_of_the_session(open_world: OpenWorld) -> None:
    world = await open_world(PEOPLE)
    await world.act("UPDATE people SET name = 'one' WHERE id = 1;")
    await world.run("UPDATE people SET name = 'theirs', note = 'theirs' WHERE id = 1;")
    await world.act("UPDATE people SET name = 'two', note = 'mine' WHERE id = 1;")
    plan, applied = await world.undo()
    assert applied is None
    assert plan.conflicts[0].columns == ("name",)


async def test_a_value_that_was_already_restored_is_no_conflict(open_world: OpenWorld) -> None:
    world = await open_world(PEOPLE)
    before = await world.digest()
    await world.act("UPDATE people SET name = 'mine' WHERE id < 3;")
    await world.act("INSERT INTO people VALUES (9, 'n');")
    await world.act("DELETE FROM people WHERE id = 5;")
    await world.run(
        "UPDATE people SET name = 'person 1' WHERE id = 1; DELETE FROM people WHERE id = 9;".replace("; ", ";\n")
    )
    await world.run("INSERT INTO people VALUES (5, 'person 5', '5@x.org');")
    _, applied = await world.undo()
    assert applied is not None
    assert await world.digest() == before


async def test_cascade_and_set_null_come_back(open_world: OpenWorld) -> None:
    world = await open_world(SHOP)
    before = await world.digest()
    await world.act("DELETE FROM customers WHERE id < 3;")
    await check_exact(world, before)


async def test_attached_rows_refuse_whatever_the_action(open_world: OpenWorld) -> None:
    for later in ("INSERT INTO orders VALUES (90, 9, 1);", "INSERT INTO tickets VALUES (90, 9);"):
        world = await open_world("DROP TABLE IF EXISTS items, orders, tickets, customers;" + SHOP)
        await world.act("INSERT INTO customers VALUES (9, 'junk');")
        await world.run(later)
        digests = await world.digest()
        plan, applied = await world.undo()
        assert applied is None
        assert "refer to it now" in plan.conflicts[0].reason
        assert await world.digest() == digests


async def test_lost_parent_takes_its_children_along(open_world: OpenWorld) -> None:
    world = await open_world(SHOP)
    await world.act("DELETE FROM orders WHERE id IN (3, 4);")
    await world.run("DELETE FROM customers WHERE id = 1;")
    plan, applied = await world.undo(skip=True)
    assert applied is not None
    assert sorted((c.table, tuple(c.primary_key.values())) for c in plan.conflicts) == [
        ("items", (3, 1)),
        ("items", (3, 2)),
        ("items", (3, 3)),
        ("orders", (3,)),
    ]
    orders = (await world.digest())["public.orders"]
    assert any("('id', '4')" in row for row in orders)
    assert not any("('id', '3')" in row for row in orders)


async def test_skipped_child_keeps_its_inserted_parent(open_world: OpenWorld) -> None:
    world = await open_world(SHOP)
    await world.act("INSERT INTO customers VALUES (9, 'junk');")
    await world.act("UPDATE orders SET customer_id = 9, total = 0 WHERE id = 1;")
    await world.run("UPDATE orders SET total = 7 WHERE id = 1;")
    digests = await world.digest()
    plan, applied = await world.undo(skip=True)
    assert applied is not None
    assert [conflict.table for conflict in plan.conflicts] == ["orders", "customers"]
    assert await world.digest() == digests


async def test_rows_pointed_at_new_parents(open_world: OpenWorld) -> None:
    world = await open_world(SHOP)
    before = await world.digest()
    await world.act("INSERT INTO customers VALUES (9, 'merged');")
    await world.act("UPDATE orders SET customer_id = 9;")
    await world.act("DELETE FROM customers WHERE id < 4;")
    await check_exact(world, before)


async def test_key_change_carries_children(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE a (id int PRIMARY KEY, x text);
        CREATE TABLE b (
            a_id int REFERENCES a ON UPDATE CASCADE ON DELETE CASCADE, n int, x text, PRIMARY KEY (a_id, n)
        );
        INSERT INTO a VALUES (1, 'x');
        INSERT INTO b VALUES (1, 1, 'y');
    """)
    before = await world.digest()
    await world.act("UPDATE a SET id = 5;", moves={("1",): ("5",), ("1", "1"): ("5", "1")})
    await world.act("UPDATE b SET x = 'z';")
    await check_exact(world, before)


async def test_deferrable_and_deferred_constraints(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE a (id int PRIMARY KEY, pos int UNIQUE DEFERRABLE);
        CREATE TABLE b (id int PRIMARY KEY, a_id int NOT NULL REFERENCES a DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO a SELECT n, n FROM generate_series(1, 5) n;
        INSERT INTO b SELECT n, n FROM generate_series(1, 5) n;
    """)
    before = await world.digest()
    await world.act("UPDATE a SET pos = 6 - pos;")
    await world.act("DELETE FROM b WHERE id < 3;\nDELETE FROM a WHERE id < 3;")
    await check_exact(world, before)


async def test_circles_and_self_references(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE a (id int PRIMARY KEY, b_id int, up int REFERENCES a);
        CREATE TABLE b (id int PRIMARY KEY, a_id int NOT NULL REFERENCES a ON DELETE RESTRICT);
        ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b;
        INSERT INTO a VALUES (1, NULL, 1), (2, NULL, 1), (3, NULL, 2);
        INSERT INTO b VALUES (1, 1), (2, 2);
        UPDATE a SET b_id = 1 WHERE id = 1;
        UPDATE a SET b_id = 2 WHERE id = 2;
    """)
    before = await world.digest()
    await world.act("UPDATE a SET b_id = NULL;\nDELETE FROM b;\nDELETE FROM a;")
    await check_exact(world, before)


@pytest.mark.parametrize("kind", ["int", "text", "uuid"])
async def test_unique_values_change_places(open_world: OpenWorld, kind: str) -> None:
    value = {"int": "$1", "text": "'v$1'", "uuid": "'00000000-0000-0000-0000-00000000000$1'"}[kind]
    one, two, three = (value.replace("$1", str(number)) for number in (1, 2, 3))
    world = await open_world(f"""
        CREATE TABLE t (id int PRIMARY KEY, u {kind} NOT NULL UNIQUE, n int UNIQUE);
        INSERT INTO t VALUES (1, {one}, 1), (2, {two}, 2);
    """)
    before = await world.digest()
    await world.act(f"UPDATE t SET u = {three}, n = NULL WHERE id = 1;")
    await world.act(f"UPDATE t SET u = {one}, n = 1 WHERE id = 2;")
    await world.act(f"UPDATE t SET u = {two}, n = 2 WHERE id = 1;")
    await check_exact(world, before)


async def test_renumbered_composite_key(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE l (o int, n int CHECK (n > 0), x text, PRIMARY KEY (o, n));
        INSERT INTO l SELECT 1, g, 'x' || g FROM generate_series(1, 6) g;
    """)
    before = await world.digest()
    await world.act("DELETE FROM l WHERE n = 1;")
    for number in range(2, 7):
        moved: dict[tuple[str, ...], tuple[str, ...]] = {("1", str(number)): ("1", str(number - 1))}
        await world.act(f"UPDATE l SET n = n - 1 WHERE n = {number};", moves=moved)
    await check_exact(world, before)


async def test_deleted_and_made_again(open_world: OpenWorld) -> None:
    world = await open_world(PEOPLE)
    before = await world.digest()
    await world.act("DELETE FROM people WHERE id < 3;")
    await world.act("INSERT INTO people VALUES (1, 'again', '1@x.org'), (7, 'other', '2@x.org');")
    await check_exact(world, before)


async def test_identity_and_generated_columns(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE t (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a numeric, b numeric GENERATED ALWAYS AS (a * 2) STORED
        );
        INSERT INTO t (a) VALUES (1.0), (2.50), (3);
    """)
    before = await world.digest()
    await world.act("DELETE FROM t WHERE id = 1;")
    await world.act("UPDATE t SET a = a + 1;")
    await world.act("INSERT INTO t (a) VALUES (9);")
    plan = await world.plan()
    assert plan.irreversible == ("Numbers that public.t.id took from its sequence are not restored.",)
    await check_exact(world, before)


TYPES = r"""
    CREATE TYPE mood AS ENUM ('ok', 'it''s "bad"');
    CREATE TYPE pair AS (a int, b text);
    CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> '');
    CREATE TABLE t (
        id int PRIMARY KEY, f8 float8, f4 float4, n numeric, i8 int8, b bool, c5 char(5), ch "char",
        v varchar(8), d short,
        t timestamptz, ts timestamp(3), da date, ti timetz, iv interval, j json, jb jsonb, by bytea, u uuid,
        m mood, ms mood[],
        ar text[], ai int[], r int4range, mr datemultirange, p pair, ps pair[], bi bit(3), vb varbit, mo money,
        ip inet, mac macaddr, pt point, tsv tsvector, nm name, rc regclass
    );
    INSERT INTO t VALUES (1, 'NaN', '-0', '1.2300', 9007199254740993, true, 'ab', 'x', ' v ', 'dom', 'infinity',
        '2020-01-01 00:00:00.123', '-infinity', '12:00:00.5+02', '1 mon -3 days 04:05:06.789',
        '{"a":1,  "a":2}', 'null',
        '\x00ff5c', '00000000-0000-0000-0000-000000000001', 'it''s "bad"', '{ok,"it''s \"bad\""}',
        '[0:2]={"a,b",NULL,"NULL"}',
        '{{1,2},{3,NULL}}', '[1,5)', '{[2020-01-01,2020-02-01),[2021-01-01,infinity)}', '(1,"a,""b")', '{"(,)","(2,)"}',
        '101', '1', '12.34', '10.0.0.1/8', '08:00:2b:01:02:03', '(1e-300,-0)', $$'a':1 'b c'$$, 'n', 't');
    INSERT INTO t (id, f8, n, j, jb, ar, r, by)
    VALUES (2, '-Infinity', 'NaN', 'null', '{"k": [1, 1.0]}', '{}', 'empty', '');
    INSERT INTO t (id, f8, n, v) VALUES (3, 0.1, 'Infinity', E'\\\"{}\n\t');
    INSERT INTO t (id) VALUES (4);
"""


async def test_every_type_comes_back_exactly(open_world: OpenWorld) -> None:
    world = await open_world(TYPES)
    before = await world.digest()
    columns = [name for name in (await world.schema()).tables["public", "t"].columns if name != "id"]
    await world.act(f"UPDATE t SET {', '.join(f'{name} = NULL' for name in columns)} WHERE id IN (1, 2);")
    await world.act("DELETE FROM t WHERE id = 3;")
    await world.act("DELETE FROM t WHERE id = 1;")
    others = ", ".join(f"{name} = (SELECT {name} FROM t WHERE id = 2)" for name in columns)
    await world.act(f"UPDATE t SET {others} WHERE id = 4;")
    await check_exact(world, before)


async def test_odd_names(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE SCHEMA "We ird";
        CREATE TYPE "We ird"."My type" AS ENUM ('a', 'b');
        CREATE TABLE "We ird"."t.""x" (
            "select" int PRIMARY KEY, bw_row "We ird"."My type", k0 text, v0 text, ord int, ctid2 text
        );
        INSERT INTO "We ird"."t.""x" VALUES (1, 'a', 'k', 'v', 7, '%s');
    """)
    before = await world.digest()
    await world.act("""UPDATE "We ird"."t.""x" SET bw_row = 'b', k0 = 'z', v0 = NULL, ord = 8;""")
    await world.act("""DELETE FROM "We ird"."t.""x";""")
    await check_exact(world, before)


async def test_partitions(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE p (id int, at date, x text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
        CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
        INSERT INTO p VALUES (1, '2020-05-05', 'a'), (2, '2021-05-05', 'b');
    """)
    before = await world.digest()
    await world.act("UPDATE p SET at = '2021-06-06' WHERE id = 1;", moves={("1", "2020-05-05"): ("1", "2021-06-06")})
    await world.act("DELETE FROM p WHERE id = 2;")
    await check_exact(world, before)


async def test_twenty_thousand_rows(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE parents (id int PRIMARY KEY, name text UNIQUE, updated_at timestamptz DEFAULT now());
        CREATE TABLE children (id int PRIMARY KEY, parent_id int REFERENCES parents ON DELETE CASCADE, n numeric);
        CREATE INDEX ON children (parent_id);
        INSERT INTO parents SELECT n, 'p' || n FROM generate_series(1, 10000) n;
        INSERT INTO children SELECT n, n, n / 7.0 FROM generate_series(1, 10000) n;
    """)
    before = await world.digest()
    await world.act("DELETE FROM parents;")
    _, applied = await world.undo()
    assert applied is not None
    assert len(applied.changes) == 20000
    assert await world.digest() == before
