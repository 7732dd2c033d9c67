"""Generated keys, temporal keys, and foreign keys that are not enforced."""

import pytest

from basewarden.undo.planning.choices import Choices
from pgrest import DbConnection
from tests.sqlscan.plugin import OwnStatement
from tests.undo.conftest import OpenWorld
from tests.undo.test_apply import check_exact


async def test_a_key_that_is_generated(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE g (code text, k text GENERATED ALWAYS AS (lower(code)) STORED PRIMARY KEY, note text);
        INSERT INTO g VALUES ('A', DEFAULT, 'x'), ('B', DEFAULT, 'y'), ('C', DEFAULT, 'z');
    """)
    before = await world.digest()
    await world.act("UPDATE g SET code = 'D' WHERE code = 'A';", moves={("a",): ("d",)})
    await world.act("UPDATE g SET code = 'A', note = 'w' WHERE code = 'B';", moves={("b",): ("a",)})
    await world.act("DELETE FROM g WHERE code = 'C';")
    await check_exact(world, before)


async def test_keys_that_are_generated_exchanged(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE g (code text, k text GENERATED ALWAYS AS (lower(code)) STORED PRIMARY KEY);
        INSERT INTO g VALUES ('A'), ('B');
    """)
    before = await world.digest()
    await world.act(
        "UPDATE g SET code = 'C' WHERE code = 'A';\nUPDATE g SET code = 'A' WHERE code = 'B';\n"
        "UPDATE g SET code = 'B' WHERE code = 'C';",
        moves={("a",): ("b",), ("b",): ("a",)},
    )
    await check_exact(world, before)


async def test_generated_values_exchanged_by_rows_that_others_refer_to(open_world: OpenWorld) -> None:
    """Such a row cannot be deleted for a moment; what its value is computed from takes a placeholder."""
    world = await open_world("""
        CREATE TABLE p (id int PRIMARY KEY, a int NOT NULL, d int GENERATED ALWAYS AS (a % 10) STORED UNIQUE);
        CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON UPDATE CASCADE ON DELETE CASCADE);
        INSERT INTO p VALUES (1, 1), (2, 2), (3, 3);
        INSERT INTO c VALUES (1, 2), (2, 3), (3, 1);
    """)
    before = await world.digest()
    await world.act(
        "UPDATE p SET a = 6 WHERE id = 1;\nUPDATE p SET a = 1 WHERE id = 2;\nUPDATE p SET a = 2 WHERE id = 1;"
    )
    await check_exact(world, before)


async def test_a_child_of_a_generated_value(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE p (id int PRIMARY KEY, code text, k text GENERATED ALWAYS AS (lower(code)) STORED UNIQUE);
        CREATE TABLE c (id int PRIMARY KEY, k text REFERENCES p (k));
        INSERT INTO p VALUES (1, 'A'), (2, 'B');
        INSERT INTO c VALUES (1, 'a'), (2, 'b');
    """)
    before = await world.digest()
    await world.act("UPDATE c SET k = 'b' WHERE id = 1;")
    await world.act("UPDATE p SET code = 'Z' WHERE id = 1;")
    await check_exact(world, before)


LINKED = """
    CREATE TABLE p (id int PRIMARY KEY, a text, b text, k text GENERATED ALWAYS AS (lower(a || b)) STORED UNIQUE);
    CREATE TABLE c (id int PRIMARY KEY, k text REFERENCES p (k) ON UPDATE SET NULL);
    INSERT INTO p VALUES (1, 'A', 'X'), (2, 'B', 'Y');
    INSERT INTO c VALUES (1, 'ax'), (2, 'by');
"""


async def test_a_restored_row_takes_no_reference_to_its_generated_value_away(open_world: OpenWorld) -> None:
    """Another edit has set the other column of it, and a new row refers to what both make together."""
    world = await open_world(LINKED)
    await world.act("UPDATE p SET a = 'Z' WHERE id < 3;", sets=("a",))
    await world.run("UPDATE p SET b = 'W' WHERE id = 1;")
    await world.run("INSERT INTO c VALUES (9, 'zw');")
    plan, applied = await world.undo(skip=True)
    assert applied is not None
    assert {(conflict.table, conflict.key, conflict.reason) for conflict in plan.conflicts} == {
        ("p", ("1",), "1 row of public.c refer to it now."),
        ("c", ("1",), "The row of public.p that it refers to no longer exists."),
    }
    assert await world.read_column("SELECT a || k FROM p ORDER BY id") == ["Zzw", "Bby"]
    assert await world.read_column("SELECT k FROM c WHERE id > 1 ORDER BY id") == ["by", "zw"]


async def test_references_are_restored_with_a_generated_value_that_is_restored_by_choice(open_world: OpenWorld) -> None:
    world = await open_world(LINKED)
    before = await world.digest()
    await world.act("UPDATE p SET a = 'Z' WHERE id = 1;", sets=("a",))
    await world.run("UPDATE p SET a = 'V' WHERE id = 1;")
    (conflict,) = [one for one in (await world.plan()).conflicts if one.id is not None]
    plan, applied = await world.undo(choices=Choices(frozenset({conflict.id or ""})))
    assert (plan.conflicts, applied is not None) == ((), True)
    assert await world.digest() == before


async def test_a_generated_value_that_another_row_has_now_is_not_restored(open_world: OpenWorld) -> None:
    world = await open_world(LINKED)
    await world.act("UPDATE p SET a = 'Z' WHERE id = 1;", sets=("a",))
    await world.run("UPDATE p SET b = 'W' WHERE id = 1;")
    await world.run("INSERT INTO p VALUES (3, 'AW', '');")
    conflicts = {conflict.key: conflict.reason for conflict in (await world.plan()).conflicts if conflict.table == "p"}
    assert conflicts == {("1",): "Another row now has its k."}


async def test_an_expression_that_fails_for_the_restored_row_is_the_rows_own_conflict(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE p (id int PRIMARY KEY, a int, b int, k int GENERATED ALWAYS AS (10 / (a + b)) STORED);
        INSERT INTO p VALUES (1, 1, 1), (2, 1, 1);
    """)
    await world.act("UPDATE p SET a = 2;", sets=("a",))
    await world.run("UPDATE p SET b = -1 WHERE id = 1;")
    plan, applied = await world.undo()
    assert applied is None
    assert [conflict.reason for conflict in plan.conflicts] == ["The database refused the change: division by zero."]


async def _is_old(dsn: str) -> bool:
    connection = await DbConnection.connect(dsn)
    (rows,) = await connection.run([OwnStatement("SELECT current_setting('server_version_num')::int < 180000")])
    await connection.close()
    return rows.rows[0][0] == b"t"


async def test_a_foreign_key_over_periods(open_world: OpenWorld, database: str) -> None:
    if await _is_old(database):
        pytest.skip("PERIOD came with PostgreSQL 18")
    world = await open_world("""
        CREATE EXTENSION btree_gist;
        CREATE TABLE p (id int, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
        CREATE TABLE c (id int, valid daterange, p_id int, PRIMARY KEY (id, valid WITHOUT OVERLAPS),
            FOREIGN KEY (p_id, PERIOD valid) REFERENCES p (id, PERIOD valid));
        INSERT INTO p VALUES (1, '[2020-01-01,2021-01-01)'), (1, '[2021-01-01,2022-01-01)'), (2, '[2020-01-01,)');
        INSERT INTO c VALUES (7, '[2020-06-01,2021-06-01)', 1), (8, '[2020-02-01,2020-03-01)', 1);
    """)
    before = await world.digest()
    await world.act("UPDATE c SET p_id = 2;")
    await world.act("DELETE FROM p WHERE id = 1 AND valid @> '2021-03-01'::date;")
    await world.act("UPDATE p SET v = 'w';")
    await world.act("DELETE FROM c WHERE id = 8;")
    await check_exact(world, before)


async def test_periods_that_follow_each_other(open_world: OpenWorld, database: str) -> None:
    if await _is_old(database):
        pytest.skip("WITHOUT OVERLAPS came with PostgreSQL 18")
    world = await open_world("""
        CREATE EXTENSION btree_gist;
        CREATE TABLE p (id int, valid daterange, v text, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
        INSERT INTO p VALUES (1, '[2020-01-01,2021-01-01)', 'a'), (1, '[2021-01-01,2022-01-01)', 'b');
    """)
    before = await world.digest()
    first, second, later = ("1", "[2020-01-01,2021-01-01)"), ("1", "[2021-01-01,2022-01-01)"), ("1", "[2023-01-01,)")
    await world.act("UPDATE p SET valid = '[2023-01-01,)' WHERE v = 'b';", moves={second: later})
    await world.act(
        "UPDATE p SET valid = '[2020-06-01,2021-06-01)' WHERE v = 'a';", moves={first: ("1", "[2020-06-01,2021-06-01)")}
    )
    await check_exact(world, before)


async def test_a_foreign_key_that_is_not_enforced(open_world: OpenWorld, database: str) -> None:
    if await _is_old(database):
        pytest.skip("NOT ENFORCED came with PostgreSQL 18")
    world = await open_world("""
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, p_id int REFERENCES p NOT ENFORCED);
        INSERT INTO p VALUES (1);
        INSERT INTO c VALUES (1, 77), (2, 1);
    """)
    before = await world.digest()
    await world.act("DELETE FROM c;")
    await world.act("INSERT INTO p VALUES (5);")
    await world.run("INSERT INTO c VALUES (9, 5);")
    await world.run("DELETE FROM p WHERE id = 1;")
    _, applied = await world.undo()
    assert applied is not None
    left = await world.digest()
    assert left["public.p"] == []
    assert set(before["public.c"]) < set(left["public.c"])
