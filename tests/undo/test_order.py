"""The order of an undo, where rows take unique values from each other and referenced keys change."""

import pytest

from basewarden.undo.planning.plan import UndoPlan
from tests.undo.conftest import OpenWorld
from tests.undo.support import UndoWorld
from tests.undo.test_apply import check_exact

# type, then four different values of it
TYPES = {
    "integer": ("1", "2", "3", "4"),
    "smallint": ("1", "2", "3", "4"),
    "numeric(8,3)": ("1.5", "2", "3", "4"),
    "numeric": ("1.50", "2", "3", "4"),
    "double precision": ("1.5", "2", "3", "4"),
    "date": ("'2020-01-01'", "'2020-01-02'", "'2020-01-03'", "'2020-01-04'"),
    "timestamptz": ("'2020-01-01 01:00+00'", "'2020-01-02'", "'2020-01-03'", "'2020-01-04'"),
    "timestamp": ("'2020-01-01 01:00'", "'2020-01-02'", "'2020-01-03'", "'2020-01-04'"),
    "time": ("'01:00'", "'02:00'", "'03:00'", "'04:00'"),
    "interval": ("'1 day'", "'2 days'", "'3 days'", "'4 days'"),
    "varchar(3)": ("'a'", "'b'", "'c'", "'d'"),
    "char(4)": ("'a'", "'b'", "'c'", "'d'"),
    "text": ("'a'", "'b'", "'c'", "'d'"),
    "bytea": ("'a'", "'b'", "'c'", "'d'"),
    "inet": ("'10.0.0.1'", "'10.0.0.2'", "'10.0.0.3'", "'10.0.0.4'"),
    "int4range": ("'[1,2)'", "'[2,3)'", "'[3,4)'", "'[4,5)'"),
    "tstzrange": ("'[2020-01-01,2020-01-02)'", "'[2020-01-02,2020-01-03)'", "'[2020-02-01,2020-02-02)'", "'empty'"),
    "int[]": ("'{1}'", "'{2}'", "'{3}'", "'{4}'"),
    "jsonb": ("'1'", "'2'", "'3'", "'4'"),
    "mood": ("'a'", "'b'", "'c'", "'d'"),
    "short": ("'a'", "'b'", "'c'", "'d'"),
}
DOMAINS = (
    "CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd');\nCREATE DOMAIN short AS varchar(3) CHECK (VALUE ~ '^[a-z]$');\n"
)


async def _open(open_world: OpenWorld, kind: str, constraint: str) -> UndoWorld:
    a, b, c, _ = TYPES[kind]
    rows = f"INSERT INTO t VALUES (1, {a}, 'x'), (2, {b}, 'y'), (3, {c}, 'z');"
    return await open_world(f"{DOMAINS}CREATE TABLE t (id int PRIMARY KEY, u {kind} {constraint}, v text);\n{rows}")


async def _swap(world: UndoWorld, kind: str) -> None:
    a, b, _, d = TYPES[kind]
    await world.act(f"UPDATE t SET u = {d} WHERE id = 1;")
    await world.act(f"UPDATE t SET u = {a}, v = 'w' WHERE id = 2;")
    await world.act(f"UPDATE t SET u = {b} WHERE id = 1;")


@pytest.mark.parametrize("kind", TYPES)
async def test_a_swap_of_unique_values(open_world: OpenWorld, kind: str) -> None:
    world = await _open(open_world, kind, "NOT NULL UNIQUE")
    before = await world.digest()
    await _swap(world, kind)
    await check_exact(world, before)


@pytest.mark.parametrize("kind", TYPES)
async def test_a_chain_of_unique_values(open_world: OpenWorld, kind: str) -> None:
    """Inverse statements, newest first, could undo this."""
    world = await _open(open_world, kind, "NOT NULL UNIQUE")
    before = await world.digest()
    a, b, _, d = TYPES[kind]
    await world.act(f"UPDATE t SET u = {d} WHERE id = 1;")
    await world.act(f"UPDATE t SET u = {a} WHERE id = 2;")
    await world.act(f"UPDATE t SET u = {b} WHERE id = 3;")
    await check_exact(world, before)


@pytest.mark.parametrize("kind", ["date", "varchar(3)", "integer", "numeric", "mood"])
async def test_rows_that_exchange_their_keys(open_world: OpenWorld, kind: str) -> None:
    a, b, _, d = TYPES[kind]
    world = await open_world(f"""
        {DOMAINS}CREATE TABLE t (id {kind} PRIMARY KEY, v text);
        INSERT INTO t VALUES ({a}, 'x'), ({b}, 'y');
    """)
    before = await world.digest()
    (x, y) = sorted((await world.read(await world.schema()))["public", "t"])
    await world.act(
        f"UPDATE t SET id = {d} WHERE id = {a};\nUPDATE t SET id = {a} WHERE id = {b};\n"
        f"UPDATE t SET id = {b} WHERE id = {d};",
        moves={x: y, y: x},
    )
    await check_exact(world, before)


CONSTRAINTS = {
    "nulls collide": ("int UNIQUE NULLS NOT DISTINCT", "", ("NULL", "2", "3", "4")),
    "two nulls collide": ("int UNIQUE NULLS NOT DISTINCT", "", ("1", "2", "3", "NULL")),
    "expression": ("text NOT NULL", "CREATE UNIQUE INDEX ON t (lower(u));", ("'A@x'", "'b@x'", "'c@x'", "'d@x'")),
    "other case": ("text NOT NULL", "CREATE UNIQUE INDEX ON t (lower(u));", ("'a@x'", "'B@x'", "'C@x'", "'d@x'")),
    "partial": ("text NOT NULL", "CREATE UNIQUE INDEX ON t (u) WHERE v <> 'gone';", ("'a'", "'b'", "'c'", "'d'")),
    "exclusion": (
        "int4range NOT NULL",
        "ALTER TABLE t ADD EXCLUDE USING gist (u WITH &&);",
        ("'[1,9)'", "'[10,19)'", "'[20,29)'", "'[30,39)'"),
    ),
    "check": ("int NOT NULL UNIQUE CHECK (u BETWEEN 0 AND 10)", "", ("0", "10", "3", "4")),
    "pattern": ("text NOT NULL UNIQUE CHECK (u ~ '^[a-z]+$')", "", ("'ab'", "'bb'", "'cb'", "'db'")),
    "check of null": ("int UNIQUE CHECK (u IS NOT NULL)", "", ("1", "2", "3", "4")),
    "few values": ("int NOT NULL UNIQUE CHECK (u IN (1, 2, 3, 4))", "", ("1", "2", "3", "4")),
}


async def _open_constrained(open_world: OpenWorld, name: str) -> tuple[UndoWorld, tuple[str, ...]]:
    column, index, values = CONSTRAINTS[name]
    a, b, c, _ = values
    world = await open_world(f"""
        CREATE TABLE t (id int PRIMARY KEY, u {column}, v text DEFAULT 'v');
        {index}
        INSERT INTO t VALUES (1, {a}, 'x'), (2, {b}, 'y'), (3, {c}, 'z');
    """)
    return world, values


@pytest.mark.parametrize("name", CONSTRAINTS)
async def test_a_chain_where_only_the_database_knows_who_collides(open_world: OpenWorld, name: str) -> None:
    world, (a, b, _, d) = await _open_constrained(open_world, name)
    before = await world.digest()
    await world.act(f"UPDATE t SET u = {d} WHERE id = 1;")
    await world.act(f"UPDATE t SET u = {a} WHERE id = 2;")
    await world.act(f"UPDATE t SET u = {b} WHERE id = 3;")
    await check_exact(world, before)


@pytest.mark.parametrize("name", CONSTRAINTS)
async def test_a_swap_where_only_the_database_knows_who_collides(open_world: OpenWorld, name: str) -> None:
    world, (a, b, _, d) = await _open_constrained(open_world, name)
    before = await world.digest()
    await world.act(f"UPDATE t SET u = {d} WHERE id = 1;")
    await world.act(f"UPDATE t SET u = {a} WHERE id = 2;")
    await world.act(f"UPDATE t SET u = {b} WHERE id = 1;")
    await check_exact(world, before)


async def test_a_swap_of_unique_parents(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, p_id int NOT NULL UNIQUE REFERENCES p);
        INSERT INTO p VALUES (1), (2), (3);
        INSERT INTO c VALUES (1, 1), (2, 2);
    """)
    before = await world.digest()
    await world.act("UPDATE c SET p_id = 3 WHERE id = 1;")
    await world.act("UPDATE c SET p_id = 1 WHERE id = 2;")
    await world.act("UPDATE c SET p_id = 2 WHERE id = 1;")
    await check_exact(world, before)


@pytest.mark.parametrize("count", [30, 2000])
@pytest.mark.parametrize("kind", ["int", "timestamptz"])
async def test_a_long_chain(open_world: OpenWorld, count: int, kind: str) -> None:
    """Each row takes the value of the next one."""
    place = "{}" if kind == "int" else "'2020-01-01'::timestamptz + {} * interval '1 minute'"
    world = await open_world(f"""
        CREATE TABLE t (id int PRIMARY KEY, pos {kind} NOT NULL UNIQUE);
        INSERT INTO t SELECT n, {place.format("n")} FROM generate_series(1, {count}) n;
    """)
    before = await world.digest()
    await world.act(f"""
        UPDATE t SET pos = {place.format("(id - 100000)")};
        UPDATE t SET pos = {place.format("(id + 1)")};
    """)
    await check_exact(world, before)


RENAMED = """
    CREATE TABLE p (id int PRIMARY KEY, v text);
    CREATE TABLE c (pid int REFERENCES p ON UPDATE CASCADE ON DELETE CASCADE, n int, PRIMARY KEY (pid, n));
    INSERT INTO p VALUES (1), (2);
    INSERT INTO c VALUES (1, 0), (2, 0), (2, 1);
"""


async def test_a_key_that_was_given_up_and_taken_again(open_world: OpenWorld) -> None:
    """The foreign key's action must not change rows that were restored to the old key."""
    world = await open_world(RENAMED)
    before = await world.digest()
    await world.act("DELETE FROM p WHERE id = 2;")
    await world.act("UPDATE p SET id = 2 WHERE id = 1;", moves={("1",): ("2",), ("1", "0"): ("2", "0")})
    await check_exact(world, before)


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"])
async def test_parents_that_exchange_their_keys(open_world: OpenWorld, action: str) -> None:
    world = await open_world("""
        CREATE TABLE p (id int PRIMARY KEY, v text);
        CREATE TABLE c (id int PRIMARY KEY, pid int REFERENCES p ON UPDATE CASCADE ON DELETE CASCADE);
        INSERT INTO p VALUES (1, 'a'), (2, 'b');
        INSERT INTO c VALUES (11, 1), (12, 2), (13, 2), (14, NULL);
    """)
    before = await world.digest()
    await world.act(
        "UPDATE p SET id = 3 WHERE id = 1;\nUPDATE p SET id = 1 WHERE id = 2;\nUPDATE p SET id = 2 WHERE id = 3;",
        moves={("1",): ("2",), ("2",): ("1",)},
    )
    await world.run(f"""
        ALTER TABLE c DROP CONSTRAINT c_pid_fkey;
        ALTER TABLE c ADD FOREIGN KEY (pid) REFERENCES p ON UPDATE {action} ON DELETE {action};
    """)
    await check_exact(world, before)


async def test_a_tree_whose_keys_change(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t ON UPDATE CASCADE ON DELETE CASCADE);
        INSERT INTO t VALUES (1, NULL), (2, 1), (3, 2), (4, 2), (5, 5);
    """)
    before = await world.digest()
    await world.act("DELETE FROM t WHERE id = 3;\nDELETE FROM t WHERE id = 5;")
    await world.act("UPDATE t SET id = 3 WHERE id = 2;", moves={("2",): ("3",)})
    await world.act("UPDATE t SET id = 2 WHERE id = 4;", moves={("4",): ("2",)})
    await world.act("UPDATE t SET id = 5 WHERE id = 1;", moves={("1",): ("5",)})
    await check_exact(world, before)


async def test_a_unique_key_that_is_referenced_and_taken_over(open_world: OpenWorld) -> None:
    """The removed row had children, and the row that takes its code has children of its own."""
    world = await open_world("""
        CREATE TABLE p (id int PRIMARY KEY, code text NOT NULL UNIQUE);
        CREATE TABLE c (id int PRIMARY KEY, code text REFERENCES p (code) ON UPDATE CASCADE ON DELETE CASCADE);
        INSERT INTO p VALUES (1, 'x'), (2, 'y');
        INSERT INTO c VALUES (1, 'x'), (2, 'y');
    """)
    before = await world.digest()
    await world.act("UPDATE p SET code = 'z' WHERE id = 1;")
    await world.act("INSERT INTO p VALUES (3, 'x');\nINSERT INTO c VALUES (3, 'x');")
    await check_exact(world, before)


MANY = """
    CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, {columns});
    INSERT INTO t (id, u) SELECT n, n FROM generate_series(1, {count}) n;
"""


@pytest.mark.parametrize("width", [40, 100])
async def test_many_sets_of_changed_columns(open_world: OpenWorld, width: int) -> None:
    count = 4000
    columns = ", ".join(f"c{number} text" for number in range(width))
    world = await open_world(MANY.format(columns=columns, count=count))
    before = await world.digest()
    sets = ", ".join(
        f"c{number} = CASE WHEN hashint8(id::bigint * 1000 + {number}) % 3 = 0 THEN 'v' || id ELSE c{number} END"
        for number in range(width)
    )
    await world.act(f"UPDATE t SET u = CASE WHEN id % 5 = 0 THEN -id ELSE id END, {sets};")
    await check_exact(world, before)


async def test_a_trigger_of_some_columns_runs_for_their_rows_only(open_world: OpenWorld) -> None:
    """Any number of sets of columns is one statement."""
    columns = ", ".join(f"c{number} text" for number in range(12))
    world = await open_world(
        MANY.format(columns=columns + ", hits int DEFAULT 0", count=100)
        + """
        CREATE FUNCTION hit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END $$;
        CREATE TABLE log (id int);
        CREATE TRIGGER hit BEFORE UPDATE OF c0 ON t FOR EACH ROW EXECUTE FUNCTION hit();
        """
    )
    sets = ", ".join(
        f"c{number} = CASE WHEN (id >> {number % 7}) % 2 = 1 THEN 'v' ELSE c{number} END" for number in range(12)
    )
    await world.act(f"UPDATE t SET {sets};")
    await world.run("DELETE FROM log;")
    world.writes[-1] = type(world.writes[-1])(
        "committed", "update", "", "", tuple(one for one in world.writes[-1].changes if one.table == "t")
    )
    _, applied = await world.undo()
    assert applied is not None
    hits = await world.read_column("SELECT DISTINCT id FROM log ORDER BY id")
    assert hits == [str(number) for number in range(1, 101) if number % 2 == 1]


async def _plan_conflicts(world: UndoWorld) -> UndoPlan:
    digests = await world.digest()
    plan = await world.plan()
    assert await world.digest() == digests
    return plan


@pytest.mark.parametrize("name", ["expression", "partial", "exclusion", "nulls collide"])
async def test_a_value_taken_meanwhile_is_a_conflict_before_anything_is_changed(
    open_world: OpenWorld, name: str
) -> None:
    world, (a, _, _, d) = await _open_constrained(open_world, name)
    await world.act(f"UPDATE t SET u = {d} WHERE id = 1;")
    await world.run(f"INSERT INTO t VALUES (9, {a}, 'theirs');")
    plan = await _plan_conflicts(world)
    (conflict,) = plan.conflicts
    assert conflict.primary_key == {"id": 1}
    assert "u" in conflict.columns


@pytest.mark.parametrize("kind", ["int", "numeric"])
async def test_a_placeholder_is_no_value_that_another_row_takes_before(open_world: OpenWorld, kind: str) -> None:
    """Rows 1 and 2 wait for each other, and row 1 for row 3, which takes the nearest value that is free."""
    world = await open_world(f"""
        CREATE TABLE t (id int PRIMARY KEY, u {kind} NOT NULL UNIQUE CHECK (u BETWEEN '1' AND '9'), v text,
            tag uuid DEFAULT gen_random_uuid());
        INSERT INTO t SELECT n, n FROM generate_series(1, 5) n;
    """)
    before = await world.digest()
    for column, moves in (("id", {1: 99, 2: 1, 99: 2}), ("u", {1: 6, 2: 2, 3: 1})):
        sets = [f"UPDATE t SET {column} = '{value}' WHERE id = {key};" for key, value in moves.items()]
        await world.act("\n".join(sets), tag="tag")
    await check_exact(world, before)


async def test_a_swap_where_little_room_is_left_and_children_would_go_along(open_world: OpenWorld) -> None:
    world = await open_world("""
        CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE CHECK (u BETWEEN 1 AND 9), v text);
        CREATE TABLE c (id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE);
        INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5);
        INSERT INTO c SELECT n, n FROM generate_series(1, 5) n;
    """)
    before = await world.digest()
    await world.act("UPDATE t SET u = 9 WHERE id = 1;")
    await world.act("UPDATE t SET u = 1 WHERE id = 2;")
    await world.act("UPDATE t SET u = 2 WHERE id = 1;")
    await check_exact(world, before)


async def test_rows_that_take_a_column_which_a_deleted_row_never_had(open_world: OpenWorld) -> None:
    world = await open_world("CREATE TABLE t (id int PRIMARY KEY);\nINSERT INTO t VALUES (1), (2), (3);")
    await world.act("DELETE FROM t WHERE id = 3;")
    await world.run("ALTER TABLE t ADD slot int UNIQUE;\nUPDATE t SET slot = id;")
    await world.act("UPDATE t SET slot = 99 WHERE id = 1;\nUPDATE t SET slot = 1 WHERE id = 2;")
    await world.act("UPDATE t SET slot = 2 WHERE id = 1;")
    _, applied = await world.undo()
    assert applied is not None
    assert await world.read_column("SELECT (id, slot)::text FROM t ORDER BY id") == ["(1,1)", "(2,2)", "(3,)"]


async def test_null_is_a_placeholder_although_another_row_holds_it(open_world: OpenWorld) -> None:
    """Where there is no other value, and children would be deleted with a row that is replaced."""
    world = await open_world("""
        CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE CHECK (u IN (1, 2)), v text);
        CREATE TABLE c (id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE);
        INSERT INTO t VALUES (1, 1), (2, 2), (3, NULL);
        INSERT INTO c VALUES (1, 1), (2, 2);
    """)
    before = await world.digest()
    await world.act("UPDATE t SET u = NULL WHERE id = 1;\nUPDATE t SET u = 1 WHERE id = 2;")
    await world.act("UPDATE t SET u = 2 WHERE id = 1;\nUPDATE t SET v = 'x' WHERE id = 3;")
    await check_exact(world, before)
