"""Trigger-set columns are restored exactly, with any role of the connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from basewarden.undo.planning.fold import RecordedWrite, fold_writes
from basewarden.undo.planning.unrestored_columns import keep_unrestored, list_rows_left
from pgrest import DbConnection
from tests.sqlscan.plugin import OwnStatement
from tests.undo.support import UndoWorld
from tests.undo.test_apply import check_exact

WATCHED = """
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
    CREATE TABLE docs (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE,
        doubled text GENERATED ALWAYS AS (name || name) STORED, updated_at timestamptz DEFAULT now());
    CREATE TABLE notes (id int PRIMARY KEY, doc_id int REFERENCES docs);
    INSERT INTO docs (name) SELECT 'Doc ' || n FROM generate_series(1, 4) n;
    INSERT INTO notes VALUES (1, 1);
    CREATE TRIGGER touch BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION touch();
"""
DDL = """
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.updated_at := clock_timestamp(); NEW.version := NEW.version + 1;
    NEW.slug := lower(NEW.name || coalesce(NEW.note, '')); RETURN NEW; END $$;
    CREATE FUNCTION count_items() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN UPDATE docs SET items = items + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END
    WHERE id = coalesce(NEW.doc_id, OLD.doc_id); RETURN NULL; END $$;
    CREATE TABLE docs (id int PRIMARY KEY, name text, note text, slug text,
        version int DEFAULT 0, items int DEFAULT 0, updated_at timestamptz DEFAULT now());
    CREATE TABLE items (id int PRIMARY KEY, doc_id int NOT NULL REFERENCES docs ON DELETE CASCADE, x text);
    INSERT INTO docs (id, name) SELECT n, 'Doc ' || n FROM generate_series(1, 3) n;
    CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE TRIGGER off BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION stamp();
    ALTER TABLE docs DISABLE TRIGGER off;
    INSERT INTO items SELECT n, n, 'x' FROM generate_series(1, 3) n;
"""
COUNTER = "CREATE TRIGGER counted AFTER INSERT OR DELETE ON items FOR EACH ROW EXECUTE FUNCTION count_items();"


async def _make_owner(database: str) -> str:
    """A plain role that owns its own schema's tables, and the address to sign in as it."""
    name = database.rpartition("/")[2]
    boss = await DbConnection.connect(database)
    await boss.run(
        [
            OwnStatement(f"CREATE ROLE {name}_owner LOGIN PASSWORD 'pw'"),
            OwnStatement(f"GRANT ALL ON SCHEMA public TO {name}_owner"),
        ]
    )
    await boss.close()
    scheme, _, rest = database.partition("://")
    return f"{scheme}://{name}_owner:pw@{rest.rpartition('@')[2]}"


@pytest.fixture
async def owned(database: str) -> AsyncIterator[UndoWorld]:
    """Undoes with a role that owns the tables and has no other privilege."""
    opened = await UndoWorld.open(await _make_owner(database))
    yield opened
    await opened.connection.close()
    await _drop_owner(database)


async def _drop_owner(database: str) -> None:
    boss = await DbConnection.connect(database)
    role = database.rpartition("/")[2] + "_owner"
    await boss.run([OwnStatement(f"DROP OWNED BY {role} CASCADE"), OwnStatement(f"DROP ROLE {role}")])
    await boss.close()


@pytest.fixture(params=["superuser", "owner"])
async def world(database: str, request: pytest.FixtureRequest) -> AsyncIterator[UndoWorld]:
    dsn = await _make_owner(database) if request.param == "owner" else database
    opened = await UndoWorld.open(dsn, DDL)
    yield opened
    await opened.connection.close()
    if request.param == "owner":
        await _drop_owner(database)


async def _triggers(world: UndoWorld) -> list[tuple[bytes | None, ...]]:
    (rows,) = await world.connection.run(
        [OwnStatement("SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1")]
    )
    return rows.rows


async def test_stamps_come_back_exactly(world: UndoWorld) -> None:
    before, triggers = await world.digest(), await _triggers(world)
    await world.act("UPDATE docs SET name = 'X' WHERE id < 3;", sets=("name",))
    await world.act("DELETE FROM docs WHERE id = 2;")
    await world.act("INSERT INTO docs (id, name) VALUES (9, 'n');")
    await check_exact(world, before)
    assert await _triggers(world) == triggers


async def test_replica_and_always_triggers_are_left_as_they_were(world: UndoWorld) -> None:
    await world.run("ALTER TABLE docs ENABLE ALWAYS TRIGGER stamp;\nALTER TABLE docs ENABLE REPLICA TRIGGER off;")
    before, triggers = await world.digest(), await _triggers(world)
    await world.act("UPDATE docs SET name = 'X';", sets=("name",))
    await check_exact(world, before)
    assert await _triggers(world) == triggers


async def test_a_later_edit_keeps_its_stamp(world: UndoWorld) -> None:
    await world.act("UPDATE docs SET name = 'X' WHERE id = 1;", sets=("name",))
    await world.run("UPDATE docs SET note = 'theirs' WHERE id = 1;")
    (rows,) = await world.connection.run([OwnStatement("SELECT updated_at::text FROM docs WHERE id = 1")])
    theirs = (rows.rows[0][0] or b"").decode()
    plan, applied = await world.undo()
    assert not plan.conflicts
    assert applied is not None
    (rows,) = await world.connection.run(
        [OwnStatement("SELECT name, note, slug, updated_at::text FROM docs WHERE id = 1")]
    )
    assert [(value or b"").decode() for value in rows.rows[0]] == ["Doc 1", "theirs", "doc 1theirs", theirs]


async def test_an_edit_of_another_column_between_two_writes(world: UndoWorld) -> None:
    await world.act("UPDATE docs SET name = 'X' WHERE id = 1;", sets=("name",))
    await world.run("UPDATE docs SET note = 'theirs' WHERE id = 1;")
    (rows,) = await world.connection.run([OwnStatement("SELECT updated_at::text FROM docs WHERE id = 1")])
    theirs = rows.rows[0][0]
    await world.act("UPDATE docs SET name = 'Y' WHERE id = 1;", sets=("name",))
    _, applied = await world.undo()
    assert applied is not None
    (rows,) = await world.connection.run([OwnStatement("SELECT name, note, updated_at::text FROM docs WHERE id = 1")])
    assert rows.rows[0] == (b"Doc 1", b"theirs", theirs)


async def test_counters_are_kept_right_by_their_triggers(world: UndoWorld) -> None:
    await world.run(COUNTER)
    await world.run("INSERT INTO items VALUES (10, 1, 'a'), (11, 1, 'b');")
    await world.act("UPDATE docs SET note = 'mine' WHERE id = 1;", sets=("note",))
    recorded = list(world.writes)
    await world.act("DELETE FROM items WHERE id = 10;", sets=())
    unseen = [change for change in world.writes[-1].changes if change.table == "items"]
    world.writes = [*recorded, type(recorded[0])("committed", "delete", "", "", tuple(unseen))]
    await world.undo()
    (rows,) = await world.connection.run([OwnStatement("SELECT note, items FROM docs WHERE id = 1")])
    assert rows.rows == [(None, b"2")]


async def test_a_count_that_a_trigger_of_other_rows_has_set_right_is_left(world: UndoWorld) -> None:
    """The item that the session inserted was counted before it wrote the count itself."""
    await world.run("DROP TRIGGER stamp ON docs;\nDROP TRIGGER off ON docs;\n" + COUNTER)
    await world.run("UPDATE docs SET items = 1;")
    before = await world.digest()
    await world.act("INSERT INTO items VALUES (10, 1, 'a');", sets=())
    inserted = tuple(change for change in world.writes[-1].changes if change.table == "items")
    await world.act("UPDATE docs SET items = 50 WHERE id = 1;", sets=("items",))
    world.writes[0] = RecordedWrite("committed", "insert", "", "", inserted)
    _, applied = await world.undo()
    assert applied is not None
    assert await world.digest() == before


async def test_a_trigger_that_undoes_the_undo_refuses(world: UndoWorld) -> None:
    await world.act("UPDATE docs SET name = 'X' WHERE id = 1;", sets=("name",))
    await world.run("""
        CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'names are final'; END $$;
        CREATE TRIGGER forbid BEFORE UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION forbid();
    """)
    digests = await world.digest()
    plan, applied = await world.undo()
    assert applied is None
    assert "names are final" in plan.conflicts[0].reason
    assert await world.digest() == digests


async def test_a_role_that_may_not_switch_triggers_off_says_so(database: str) -> None:
    boss = await UndoWorld.open(database, DDL)
    dsn = await _make_owner(database)
    role = database.rpartition("/")[2] + "_owner"
    await boss.run(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};")
    world = await UndoWorld.open(dsn)
    await world.act("UPDATE docs SET name = 'X' WHERE id < 3;", sets=("name",))
    _, applied = await world.undo()
    assert applied is not None
    assert len(applied.notes) == 1
    assert "2 rows of public.docs" in applied.notes[0]
    (rows,) = await world.connection.run([OwnStatement("SELECT name FROM docs ORDER BY id")])
    assert rows.rows == [(b"Doc 1",), (b"Doc 2",), (b"Doc 3",)]
    await world.connection.close()
    await boss.run(f"DROP OWNED BY {role} CASCADE;\nDROP ROLE {role};")
    await boss.connection.close()


@asynccontextmanager
async def _busy(database: str) -> AsyncIterator[None]:
    """Another transaction is open in which another row was changed."""
    other = await DbConnection.connect(database)
    await other.run([OwnStatement("BEGIN"), OwnStatement("UPDATE docs SET name = 'theirs' WHERE id = 3")])
    yield
    await other.run([OwnStatement("ROLLBACK")])
    await other.close()


async def test_stamps_come_back_while_others_write_to_the_table(owned: UndoWorld, database: str) -> None:
    """Where triggers run on updates only, the undo takes no lock on the table."""
    await owned.run(WATCHED)
    before = await owned.digest()
    await owned.act("UPDATE docs SET name = 'X' || id WHERE id < 3;", sets=("name",))
    async with _busy(database):
        await check_exact(owned, before)


async def test_a_role_without_any_right_over_the_table_brings_stamps_back(database: str) -> None:
    boss = await UndoWorld.open(database, WATCHED)
    world = await UndoWorld.open(await _make_owner(database))
    role = database.rpartition("/")[2] + "_owner"
    await boss.run(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role};")
    before = await world.digest()
    await world.act("UPDATE docs SET name = 'X' || id WHERE id < 3;", sets=("name",))
    _, applied = await world.undo()
    assert applied is not None
    assert applied.notes == ()
    assert await world.digest() == before
    await world.connection.close()
    await boss.connection.close()
    await _drop_owner(database)


async def test_rows_with_children_that_would_go_along_are_not_deleted(owned: UndoWorld, database: str) -> None:
    await owned.run(WATCHED.replace("REFERENCES docs", "REFERENCES docs ON DELETE CASCADE"))
    before = await owned.digest()
    await owned.act("UPDATE docs SET name = 'X' || id WHERE id < 3;", sets=("name",))
    async with _busy(database):
        _, applied = await owned.undo()
    assert applied is not None
    (note,) = applied.notes
    assert "updated_at of 1 row of public.docs" in note
    assert "the table was in use" in note
    after = await owned.digest()
    assert after["public.notes"] == before["public.notes"]
    assert len(set(after["public.docs"]) - set(before["public.docs"])) == 1


async def test_what_was_left_comes_back_with_the_next_press(owned: UndoWorld, database: str) -> None:
    await owned.run(DDL)
    before = await owned.digest()
    await owned.act("UPDATE docs SET name = 'X' WHERE id < 3;", sets=("name",))
    await owned.act("DELETE FROM docs WHERE id = 4;\nDELETE FROM docs WHERE id = 1;")
    session = list(owned.writes)
    async with _busy(database):
        _, applied = await owned.undo()
    assert applied is not None
    assert applied.notes
    assert await owned.digest() != before
    folded, left = keep_unrestored(fold_writes(session), list_rows_left(applied.changes))
    assert left
    await owned.run("UPDATE docs SET note = 'theirs' WHERE id = 2;")
    theirs = await owned.read_column("SELECT updated_at FROM docs WHERE id = 2")
    again = await owned.undo_folded(folded)
    assert again is not None
    assert again.notes == ()
    after = await owned.digest()
    assert await owned.read_column("SELECT updated_at FROM docs WHERE id = 2") == theirs
    ones = {table: [row for row in rows if row.startswith("[('id', '1')")] for table, rows in before.items()}
    assert {table: [row for row in rows if row.startswith("[('id', '1')")] for table, rows in after.items()} == ones
