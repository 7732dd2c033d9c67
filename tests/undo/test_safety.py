"""An undo never loses what others did after the session, and its receipt is exact."""

import asyncio
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from basewarden.db import Database, Listener
from basewarden.gateway import Projects
from basewarden.journal import Reconciler, Recorder
from basewarden.undo import Undo, UndoActor
from basewarden.undo.errors import UndoTooLarge
from tests.fixtures.bench import OWNER, Backend, Bench, Workshop, on_both_backends, wait_for_lock
from tests.fixtures.waiting import wait_until
from tests.undo.test_service import request_undo

MERGE = "resolution=merge-duplicates,return=representation"


async def texts(bench: Bench, table: str) -> list[str]:
    return [row["row"] for row in await bench.rows(f"SELECT t::text AS row FROM {table} t ORDER BY 1")]


def list_conflicts(answer: Any) -> list[tuple[str, str]]:
    return [(one["table"], one["reason"]) for one in answer.json()["details"]["conflicts"]]


async def test_a_row_with_json_that_postgres_cannot_read_is_undone(workshop: Workshop) -> None:
    """A column of type json keeps a NUL as it was written, and PostgreSQL reads no key of such JSON."""
    bench = await workshop.bench("CREATE TABLE kept (id int PRIMARY KEY, v text, j json)")
    await bench.run("""INSERT INTO kept VALUES (1, 'x', '{"a":"\\u0000"}'), (2, 'y', '{}')""")
    before = await texts(bench, "kept")
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/kept?id=gt.0", {"v": "z"})).session_id
    undone = await request_undo(bench, session)
    assert undone.status_code == 200, undone.text
    assert await texts(bench, "kept") == before


# Columns that were added since ---------------------------------------------------------------------------


@on_both_backends
async def test_a_value_in_a_column_that_was_added_since_is_an_edit(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench("CREATE TABLE cc (id int PRIMARY KEY, v text)")
    agent = await bench.agent()
    session = (await agent.write("POST", "/cc", [{"id": 1, "v": "x"}, {"id": 2, "v": "y"}])).session_id
    await bench.run("ALTER TABLE cc ADD note text")
    await bench.run("UPDATE cc SET note = 'precious' WHERE id = 1")
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert list_conflicts(refused) == [("cc", "The row was changed after the session inserted it.")]
    (conflict,) = refused.json()["details"]["conflicts"]
    assert conflict["columns"] == [{"name": "note", "before": None, "session": None, "now": "precious"}]
    skipped = await request_undo(bench, session, onConflict="skip")
    assert (skipped.json()["reverted"], skipped.json()["skipped"]) == (1, 1)
    assert await texts(bench, "cc") == ["(1,x,precious)"]


async def test_a_default_in_a_column_that_was_added_since_is_none(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE cc (id int PRIMARY KEY, v text)")
    agent = await bench.agent()
    session = (await agent.write("POST", "/cc", {"id": 1, "v": "x"})).session_id
    await bench.run("ALTER TABLE cc ADD e int GENERATED ALWAYS AS (id * 2) STORED")
    await bench.run("ALTER TABLE cc ADD a text DEFAULT 'it''s', ADD b timestamptz DEFAULT now(), ADD c int")
    await bench.run("ALTER TABLE cc ADD d text[] DEFAULT '{a,\"b c\"}'")
    done = await request_undo(bench, session)
    assert (done.status_code, done.json()["reverted"]) == (200, 1), done.text
    assert await texts(bench, "cc") == []


async def test_an_edit_back_from_the_default_is_seen(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE cc (id int PRIMARY KEY, v text)")
    agent = await bench.agent()
    session = (await agent.write("POST", "/cc", {"id": 1, "v": "x"})).session_id
    await bench.run("ALTER TABLE cc ADD a text DEFAULT 'new'")
    await bench.run("UPDATE cc SET a = NULL")
    assert (await request_undo(bench, session)).status_code == 409


TOUCHED = """
    CREATE TABLE items (id int PRIMARY KEY, t_id int REFERENCES t);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN UPDATE t SET updated_at = clock_timestamp() WHERE id = OLD.t_id; RETURN NULL; END';
    CREATE TRIGGER touch AFTER DELETE ON items FOR EACH ROW EXECUTE FUNCTION touch();
"""


@on_both_backends
async def test_a_time_that_the_undo_itself_makes_a_trigger_set_is_no_edit(workshop: Workshop, backend: Backend) -> None:
    """A row that the session inserted is touched when its child is deleted."""
    bench = await workshop.bench(f"CREATE TABLE t (id int PRIMARY KEY, x text, updated_at timestamptz); {TOUCHED}")
    agent = await bench.agent()
    session = (await agent.write("POST", "/t", {"id": 50, "x": "new"})).session_id
    await agent.write("POST", "/items", {"id": 1, "t_id": 50})
    done = await request_undo(bench, session)
    assert (done.status_code, done.json()["reverted"]) == (200, 2), done.text
    assert await texts(bench, "t") == await texts(bench, "items") == []


@on_both_backends
async def test_a_row_whose_key_was_changed_is_not_gone(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, x text, j json)")
    agent = await bench.agent()
    rows = [{"id": 1, "x": "mine"}, {"id": 2, "x": "gone"}, {"id": 3, "x": "here"}]
    session = (await agent.write("POST", "/t", rows)).session_id
    await bench.run("UPDATE t SET id = 9 WHERE id = 1")
    await bench.run("DELETE FROM t WHERE id = 2")
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    ((table, reason),) = list_conflicts(refused)
    assert (table, "under another key" in reason) == ("t", True)
    skipped = (await request_undo(bench, session, onConflict="skip")).json()
    assert [skipped[name] for name in ("reverted", "skipped", "alreadyAsBefore")] == [1, 1, 1]
    assert await texts(bench, "t") == ["(9,mine,)"]
    assert (await bench.journal(session))["status"] == "partly_undone"


# Unique values -------------------------------------------------------------------------------------------


TAKEN = "Another row now has its u."


@pytest.mark.parametrize("kind", ["UNIQUE", "UNIQUE DEFERRABLE INITIALLY DEFERRED"])
@on_both_backends
async def test_a_unique_value_that_another_person_inserted_since_is_theirs(
    workshop: Workshop, backend: Backend, kind: str
) -> None:
    bench = await workshop.bench(f"""
        CREATE TABLE t (id int PRIMARY KEY, u text {kind}, x text);
        INSERT INTO t VALUES (1, 'a', 'one'), (2, 'y', 'two'), (3, 'z', 'three');
    """)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.2", {"x": "wrecked"})).session_id
    await agent.write("PATCH", "/t?id=eq.1", {"u": "b"})
    await agent.write("PATCH", "/t?id=eq.3", {"x": "broken"})
    theirs = await bench.person.post(f"/api/v/{bench.connection_id}/rest/v1/t", json={"id": 9, "u": "a", "x": "theirs"})
    assert theirs.status_code == 201, theirs.text
    before = await texts(bench, "t")
    shown = await request_undo(bench, session, "preview")
    expected = [] if backend == "api" else [({"id": 1}, TAKEN)]  # an API tells unique keys only when it refuses
    assert [(one["primaryKey"], one["reason"]) for one in shown.json()["conflicts"]] == expected
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert [(one["primaryKey"], one["reason"]) for one in refused.json()["conflicts"]] == [({"id": 1}, TAKEN)]
    assert await texts(bench, "t") == before == ["(1,b,one)", "(2,y,wrecked)", "(3,z,broken)", "(9,a,theirs)"]
    skipped = (await request_undo(bench, session, onConflict="skip")).json()
    assert (skipped["reverted"], skipped["skipped"]) == (2, 1)
    assert await texts(bench, "t") == ["(1,b,one)", "(2,y,two)", "(3,z,three)", "(9,a,theirs)"]


# Migrations ----------------------------------------------------------------------------------------------


CHILD = f"""
    SET LOCAL ROLE {OWNER};
    CREATE TABLE child (id int PRIMARY KEY, parent int);
    INSERT INTO child VALUES (7, 1);
    ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES parent ON DELETE CASCADE;
"""


async def test_a_foreign_key_that_came_just_now_protects_its_rows(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE parent (id int PRIMARY KEY)")
    agent = await bench.agent()
    session = (await agent.write("POST", "/parent", {"id": 1})).session_id
    await bench.run(CHILD)
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert list_conflicts(refused) == [("parent", "1 row of public.child refer to it now.")]
    assert await texts(bench, "child") == ["(7,1)"]


async def test_a_foreign_key_that_comes_between_plan_and_write(workshop: Workshop) -> None:
    """The undo waits for the migration at its delete, and must then see the new foreign key."""
    bench = await workshop.bench("CREATE TABLE parent (id int PRIMARY KEY)")
    agent = await bench.agent()
    session = (await agent.write("POST", "/parent", {"id": 1})).session_id
    async with bench.admin.transaction():
        await bench.run(CHILD)
        undoing = asyncio.create_task(request_undo(bench, session))
        await wait_for_lock(bench)
    refused = await undoing
    assert refused.status_code == 409, refused.text
    assert list_conflicts(refused) == [("parent", "1 row of public.child refer to it now.")]
    assert await texts(bench, "child") == ["(7,1)"]


@on_both_backends
async def test_a_column_that_was_renamed_just_now_is_reported_at_once(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench(
        "CREATE TABLE t (id int PRIMARY KEY, n text, other text);\nINSERT INTO t VALUES (1, 'a')"
    )
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.1", {"n": "b"})).session_id
    await bench.run("ALTER TABLE t RENAME n TO m")
    refused = await request_undo(bench, session)
    assert list_conflicts(refused) == [("t", "A column no longer exists.")]
    await bench.run("ALTER TABLE t RENAME m TO n")
    await bench.run("ALTER TABLE t DROP other")
    assert (await request_undo(bench, session)).json()["reverted"] == 1
    assert await texts(bench, "t") == ["(1,a)"]


@on_both_backends
async def test_a_table_that_is_gone_and_comes_back(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, n text);\nINSERT INTO t VALUES (1, 'a')")
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.1", {"n": "b"})).session_id
    await bench.run("ALTER TABLE t RENAME TO away")
    assert list_conflicts(await request_undo(bench, session)) == [("t", "The table no longer exists.")]
    await bench.run("ALTER TABLE away RENAME TO t")
    assert (await request_undo(bench, session)).json()["reverted"] == 1


@on_both_backends
async def test_a_column_whose_type_was_changed_just_now(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, n text);\nINSERT INTO t VALUES (1, '1')")
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.1", {"n": "2"})).session_id
    await bench.run("ALTER TABLE t ALTER n TYPE int USING n::int")
    done = await request_undo(bench, session)
    assert (done.status_code, done.json()["reverted"]) == (200, 1), done.text
    assert await texts(bench, "t") == ["(1,1)"]


# What triggers do meanwhile ------------------------------------------------------------------------------

ORDERS = """
    CREATE TABLE orders (id int PRIMARY KEY, x text);
    CREATE TABLE note (id int PRIMARY KEY, order_id int, about text);
    CREATE TABLE log (about text);
"""


async def test_a_trigger_that_deletes_other_rows_refuses(workshop: Workshop) -> None:
    bench = await workshop.bench(
        ORDERS
        + """
        CREATE FUNCTION clean() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN DELETE FROM note WHERE order_id = old.id; RETURN NULL; END';
        CREATE TRIGGER clean AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION clean();
    """
    )
    agent = await bench.agent()
    session = (await agent.write("POST", "/orders", [{"id": 1}, {"id": 2}])).session_id
    await bench.run("INSERT INTO note VALUES (1, 1, 'mine')")
    refused = await request_undo(bench, session)
    assert refused.status_code == 409
    assert list_conflicts(refused) == [
        ("orders", "A trigger would delete 1 row of public.note that this session did not write.")
    ]
    assert await texts(bench, "note") == ["(1,1,mine)"]
    assert await texts(bench, "orders") == ["(1,)", "(2,)"]
    skipped = (await request_undo(bench, session, onConflict="skip")).json()
    assert (skipped["reverted"], skipped["skipped"]) == (1, 1)
    assert await texts(bench, "orders") == ["(1,)"]
    assert await texts(bench, "note") == ["(1,1,mine)"]


async def test_rows_that_triggers_write_elsewhere_are_reported(workshop: Workshop) -> None:
    bench = await workshop.bench(
        ORDERS
        + """
        CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO log VALUES (old.id::text); RETURN NULL; END';
        CREATE TRIGGER note_it AFTER DELETE ON orders FOR EACH ROW EXECUTE FUNCTION note_it();
    """
    )
    agent = await bench.agent()
    session = (await agent.write("POST", "/orders", {"id": 1})).session_id
    receipt = (await request_undo(bench, session)).json()
    note = "1 row inserted in public.log by triggers during this undo, not recorded."
    assert receipt["irreversible"] == [note]
    undo = await bench.journal(receipt["undoSessionId"])
    assert undo["writes"][0]["unseen"] == [
        {"schema": "public", "table": "log", "inserted": 1, "updated": 0, "deleted": 0}
    ]
    assert (await bench.journal(session))["status"] == "partly_undone"


async def test_other_rows_of_the_same_table_are_counted(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE sib (id int PRIMARY KEY, n int, total int DEFAULT 0);
        INSERT INTO sib VALUES (1, 1), (2, 2), (100, 0);
        CREATE FUNCTION add_up() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN UPDATE sib SET total = total + 1 WHERE id = 100; RETURN NULL; END';
        CREATE TRIGGER add_up AFTER UPDATE OF n ON sib FOR EACH ROW EXECUTE FUNCTION add_up();
    """)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/sib?id=lt.3", {"n": 5})).session_id
    receipt = (await request_undo(bench, session)).json()
    note = "1 row updated in public.sib by triggers during this undo, not recorded."
    assert note in receipt["irreversible"]
    assert (await bench.journal(session))["status"] == "partly_undone"


async def test_what_the_undo_itself_writes_twice_is_not_reported(workshop: Workshop) -> None:
    """Rows that swap a unique value get placeholders, and trigger-set columns are restored; in partitions too."""
    bench = await workshop.bench("""
        CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE NOT NULL, x text, at timestamptz DEFAULT now());
        CREATE TABLE p (id int PRIMARY KEY, x text, at timestamptz DEFAULT now()) PARTITION BY RANGE (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
        CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
        INSERT INTO t SELECT n, n, 'a' FROM generate_series(1, 4) n;
        INSERT INTO p SELECT n, 'a' FROM generate_series(1, 4) n;
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN NEW.at := clock_timestamp(); RETURN NEW; END';
        CREATE TRIGGER stamp BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp();
        CREATE TRIGGER stamp BEFORE UPDATE ON p FOR EACH ROW EXECUTE FUNCTION stamp();
    """)
    before = await texts(bench, "t") + await texts(bench, "p")
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.1", {"u": 9})).session_id
    await agent.write("PATCH", "/t?id=eq.2", {"u": 1})
    await agent.write("PATCH", "/t?id=eq.1", {"u": 2})
    await agent.write("PATCH", "/p?id=eq.1", {"x": "b"})
    await agent.write("PATCH", "/p?id=eq.2", {"id": 12})
    receipt = (await request_undo(bench, session)).json()
    assert receipt["irreversible"] == []
    assert await texts(bench, "t") + await texts(bench, "p") == before
    assert (await bench.journal(session))["status"] == "undone"


# Undone again --------------------------------------------------------------------------------------------

LOGGED = """
    CREATE TABLE t (id int PRIMARY KEY, x text);
    CREATE TABLE log (about text);
    INSERT INTO t VALUES (1, 'a');
    CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO log VALUES (tg_op); RETURN NULL; END';
    CREATE TRIGGER note_it AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note_it();
"""


async def test_a_second_press_leaves_what_a_human_put_there_after_the_first(workshop: Workshop) -> None:
    bench = await workshop.bench(LOGGED)
    agent = await bench.agent()
    session = (await agent.write("POST", "/t", {"id": 5, "x": "new"})).session_id
    await agent.write("PATCH", "/t?id=eq.1", {"x": "b"})
    assert (await request_undo(bench, session)).json()["reverted"] == 2
    await bench.run("INSERT INTO t VALUES (5, 'new')")
    await bench.run("UPDATE t SET x = 'b' WHERE id = 1")
    again = (await request_undo(bench, session)).json()
    counts = [again[name] for name in ("planned", "reverted", "skipped", "alreadyAsBefore", "undoSessionId")]
    assert counts == [2, 0, 0, 2, None]
    assert await texts(bench, "t") == ["(1,b)", "(5,new)"]


async def test_after_the_undo_was_undone_it_can_be_undone_again(workshop: Workshop) -> None:
    bench = await workshop.bench(LOGGED)
    agent = await bench.agent()
    session = (await agent.write("POST", "/t", {"id": 5, "x": "new"})).session_id
    first = (await request_undo(bench, session)).json()
    redo = (await request_undo(bench, first["undoSessionId"])).json()
    assert redo["reverted"] == 1
    assert await texts(bench, "t") == ["(1,a)", "(5,new)"]
    assert (await request_undo(bench, session)).json()["reverted"] == 1
    assert await texts(bench, "t") == ["(1,a)"]


# Receipts and previews -----------------------------------------------------------------------------------


@on_both_backends
async def test_only_what_was_previewed_is_done(workshop: Workshop, backend: Backend) -> None:
    ddl = (
        "CREATE TABLE prices (id int PRIMARY KEY, n int);\nINSERT INTO prices SELECT n, n FROM generate_series(1, 9) n"
    )
    bench = await workshop.bench(ddl)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/prices?id=eq.1", {"n": 0})).session_id
    token = (await request_undo(bench, session, "preview")).json()["previewToken"]
    await agent.write("PATCH", "/prices?id=eq.2", {"n": 0})
    await agent.write("PATCH", "/prices?id=eq.3", {"n": 0})
    digests = await texts(bench, "prices")
    stale = await request_undo(bench, session, previewToken=token)
    assert (stale.status_code, stale.json()["code"]) == (409, "preview_stale")
    assert stale.json()["message"].startswith("2 more writes arrived since the preview")
    assert stale.json()["details"]["planned"] == 3
    assert await texts(bench, "prices") == digests
    await bench.run("UPDATE prices SET n = 77 WHERE id = 3")
    moved = await request_undo(bench, session, previewToken=stale.json()["details"]["previewToken"])
    assert moved.json()["code"] == "preview_stale"
    assert len(moved.json()["details"]["conflicts"]) == 1
    fresh = moved.json()["details"]["previewToken"]
    done = await request_undo(bench, session, previewToken=fresh, onConflict="skip")
    assert (done.status_code, done.json()["reverted"], done.json()["previewToken"]) == (200, 2, None)


async def test_keys_and_values_are_shown_exactly(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE t (id numeric PRIMARY KEY, n numeric, b boolean, j jsonb);
        INSERT INTO t VALUES (123456789012345678901234567890.123456789, 1.500, true, '{"a": 1.10}'), (1.500, 1, true, '1')
    """)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=gt.0", {"n": 2.50, "b": False, "j": [1.0]})).session_id
    await bench.run("UPDATE t SET n = 3.50, b = NULL, j = '2.0'")
    refused = await request_undo(bench, session)
    assert '"primaryKey":{"id":123456789012345678901234567890.123456789}' in refused.text
    assert '"primaryKey":{"id":1.500}' in refused.text
    assert '{"name":"n","before":1.500,"session":2.5' in refused.text
    assert '"now":3.50}' in refused.text
    assert '{"name":"b","before":true,"session":false,"now":null}' in refused.text
    assert '{"name":"j","before":{"a": 1.10},"session":[1.0],"now":2.0}' in refused.text


# Sessions that are being written to ----------------------------------------------------------------------


async def test_a_session_that_is_written_to_can_be_undone(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 0);
        INSERT INTO t SELECT n FROM generate_series(1, 16) n
    """)
    agent = await bench.agent(maxWritesPerSession=1_000_000)
    session = (await agent.write("PATCH", "/t?id=eq.1", {"n": 1})).session_id
    stop = asyncio.Event()

    async def keep_writing(number: int) -> set[str]:
        sessions = set()
        while not stop.is_set():
            answer = await agent.http.patch(f"/t?id=eq.{number}", json={"n": 1}, headers={"x-basewarden-session": "x"})
            assert answer.is_success, answer.text
            answer = await agent.http.patch(f"/t?id=eq.{number}", json={"n": 2}, headers={"x-basewarden-session": "x"})
            sessions.add(answer.headers["x-basewarden-session"])
        return sessions

    writers = [asyncio.create_task(keep_writing(number)) for number in range(2, 6)]
    await wait_until(bench.sessions, "the session of the writers", matches=lambda found: len(found) >= 2)
    (busy,) = [one["id"] for one in await bench.sessions() if one["label"] == "x"]
    path = f"/api/connections/{bench.connection_id}/sessions/{busy}/undo"
    undone = await bench.person.post(path, json={"mode": "apply", "onConflict": "skip"}, timeout=120)
    assert undone.status_code == 200, undone.text
    stop.set()
    written = set().union(*await asyncio.gather(*writers))
    assert busy in written or written
    assert session not in written
    after = await agent.http.patch("/t?id=eq.12", json={"n": 1}, headers={"x-basewarden-session": "x"})
    assert after.headers["x-basewarden-session"] != busy


async def test_a_refused_press_leaves_the_session_open(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, n int);\nINSERT INTO t VALUES (1, 1)")
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.1", {"n": 2})).session_id
    await bench.run("UPDATE t SET n = 3")
    assert (await request_undo(bench, session)).status_code == 409
    assert (await bench.journal(session))["status"] == "active"
    assert (await agent.write("PATCH", "/t?id=eq.1", {"n": 4})).session_id == session


async def test_new_writes_while_the_undo_runs_go_to_another_session(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE t (id int PRIMARY KEY, n int);\nINSERT INTO t VALUES (1, 1), (2, 1)")
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/t?id=eq.1", {"n": 2})).session_id
    async with bench.admin.transaction(force_rollback=True):
        await bench.run("UPDATE t SET n = n WHERE id = 1")
        undoing = asyncio.create_task(request_undo(bench, session))
        await wait_for_lock(bench)
        other = await agent.write("PATCH", "/t?id=eq.2", {"n": 5})
        assert other.session_id != session
    assert (await undoing).json()["reverted"] == 1
    assert (await bench.journal(session))["status"] == "undone"
    assert (await bench.journal(other.session_id))["status"] == "active"


# What triggers derive and people set ---------------------------------------------------------------------

ARTICLES = """
    CREATE FUNCTION slug() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.slug := lower(NEW.title || coalesce(NEW.note, '''')); RETURN NEW; END';
    CREATE TABLE articles (id int PRIMARY KEY, title text, note text, slug text);
    INSERT INTO articles VALUES (1, 'Hello', NULL, 'hello'), (2, 'Ann', NULL, NULL);
    CREATE TRIGGER slug BEFORE UPDATE OF title, note ON articles FOR EACH ROW
        WHEN (OLD.title IS DISTINCT FROM NEW.title OR OLD.note IS DISTINCT FROM NEW.note) EXECUTE FUNCTION slug();
"""


async def test_what_was_set_by_hand_since_stays(workshop: Workshop) -> None:
    bench = await workshop.bench(ARTICLES)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/articles?id=eq.1", {"title": "Wrecked"})).session_id
    await agent.write("PATCH", "/articles?id=eq.2", {"title": "Bob"})
    await bench.run("UPDATE articles SET slug = 'custom-by-human' WHERE id = 1")
    await bench.run("UPDATE articles SET slug = 'BOB (VIP)' WHERE id = 2")
    done = await request_undo(bench, session)
    assert done.status_code == 200, done.text
    assert await texts(bench, "articles") == ["(1,Hello,,custom-by-human)", '(2,Ann,,"BOB (VIP)")']


async def test_what_triggers_derive_is_derived_again(workshop: Workshop) -> None:
    bench = await workshop.bench(ARTICLES)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/articles?id=lt.3", {"title": "Wrecked"})).session_id
    await bench.run("UPDATE articles SET note = '!' WHERE id = 1")
    await bench.run("UPDATE articles SET note = '!', slug = 'mine' WHERE id = 2")
    await bench.run("UPDATE articles SET slug = 'mine' WHERE id = 2")
    assert (await request_undo(bench, session)).status_code == 200
    assert await texts(bench, "articles") == ["(1,Hello,!,hello!)", "(2,Ann,!,mine)"]


async def wreck_what_another_role_owns(bench: Bench) -> str:
    """The connection's role is not the table's owner, so it may not disable the trigger."""
    await bench.run("ALTER TABLE articles OWNER TO postgres")
    await bench.run(f"GRANT ALL ON articles TO {OWNER}")
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/articles?id=eq.1", {"title": "Wrecked"})).session_id
    await bench.run("UPDATE articles SET slug = 'custom-by-human' WHERE id = 1")
    return session


async def test_a_hand_set_column_stays_though_the_trigger_cannot_be_switched_off(workshop: Workshop) -> None:
    """The trigger runs on updates only, so the row is deleted and inserted."""
    bench = await workshop.bench(ARTICLES)
    session = await wreck_what_another_role_owns(bench)
    done = await request_undo(bench, session)
    assert done.status_code == 200, done.text
    assert await texts(bench, "articles") == ["(1,Hello,,custom-by-human)", "(2,Ann,,)"]


async def test_what_would_not_stay_is_a_conflict(workshop: Workshop) -> None:
    """Another trigger runs on inserts too."""
    bench = await workshop.bench(ARTICLES)
    await bench.run("CREATE TRIGGER slug_of_new BEFORE INSERT ON articles FOR EACH ROW EXECUTE FUNCTION slug()")
    session = await wreck_what_another_role_owns(bench)
    refused = await request_undo(bench, session)
    assert refused.status_code == 409, refused.text
    (conflict,) = refused.json()["details"]["conflicts"]
    assert (conflict["primaryKey"], [one["name"] for one in conflict["columns"]]) == ({"id": 1}, ["slug"])
    assert await texts(bench, "articles") == ["(1,Wrecked,,custom-by-human)", "(2,Ann,,)"]


async def test_what_a_press_left_because_others_were_writing_comes_back_with_the_next(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN NEW.touched := clock_timestamp(); RETURN NEW; END';
        CREATE TABLE docs (id int PRIMARY KEY, name text, touched timestamptz);
        INSERT INTO docs VALUES (1, 'one', '2020-01-01'), (2, 'two', '2020-01-02'), (3, 'three', '2020-01-03');
        CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION touch();
    """)
    before = await texts(bench, "docs")
    agent, mine = await bench.agent(), {"x-basewarden-session": "mine"}
    await agent.write("PATCH", "/docs?id=eq.1", {"name": "X"}, headers=mine)
    session = (await agent.write("DELETE", "/docs?id=eq.2", headers=mine)).session_id
    async with bench.admin.transaction(force_rollback=True):
        await bench.run("UPDATE docs SET name = 'theirs' WHERE id = 3")
        first = await request_undo(bench, session)
    assert "undo again to restore this" in str(first.json()["irreversible"])
    assert await texts(bench, "docs") != before
    second = await request_undo(bench, session)
    assert (second.status_code, second.json()["reverted"]) == (200, 2), second.text
    assert await texts(bench, "docs") == before
    assert (await request_undo(bench, session)).json()["code"] == "already_undone"


@on_both_backends
async def test_a_hand_set_column_is_never_overwritten(workshop: Workshop, backend: Backend) -> None:
    bench = await workshop.bench(ARTICLES)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/articles?id=eq.1", {"title": "Wrecked"})).session_id
    await bench.run("UPDATE articles SET slug = 'custom-by-human' WHERE id = 1")
    await request_undo(bench, session)
    assert [row["slug"] for row in await bench.rows("SELECT slug FROM articles WHERE id = 1")] == ["custom-by-human"]


# Size ----------------------------------------------------------------------------------------------------


async def test_a_session_of_wide_rows_is_listed_in_pages(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE wide (id int PRIMARY KEY, n int, x text);
        INSERT INTO wide SELECT n, 0, repeat(md5(n::text), 50000) FROM generate_series(1, 5) n
    """)
    agent = await bench.agent()
    answer = await agent.http.patch("/wide?id=gt.0", json={"n": 1}, headers={"prefer": "return=minimal"})
    path = f"/api/connections/{bench.connection_id}/sessions/{answer.headers['x-basewarden-session']}"
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = await bench.person.get(path, params={"after": after})
        assert len(page.content) < 10 * 2**20
        seen += [one["primaryKey"]["id"] for one in page.json()["mutations"]]
        after = page.json()["nextAfter"]
    assert seen == [1, 2, 3, 4, 5]
    receipt = await request_undo(bench, answer.headers["x-basewarden-session"])
    assert receipt.json()["reverted"] == 5


async def test_a_session_beyond_the_budget_is_refused(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE wide (id int PRIMARY KEY, n int, x text);
        INSERT INTO wide SELECT n, 0, repeat(md5(n::text), 10000) FROM generate_series(1, 4) n
    """)
    agent = await bench.agent()
    session = (await agent.write("PATCH", "/wide?id=gt.0", {"n": 1}, prefer="return=minimal")).session_id
    registry = bench.product.registry
    projects = registry.get(Projects)
    undo = Undo(
        registry.get(Database),
        registry.get(Listener),
        projects,
        registry.get(Recorder),
        registry.get(Reconciler),
        find_api_access=projects.find_api_access,
        budget_bytes=2**20,
    )
    for attempt in (undo.preview, partial(undo.apply, actor=UndoActor(UUID(int=1), "Somebody"))):
        with pytest.raises(UndoTooLarge):
            await attempt(UUID(bench.connection_id), UUID(session))
    assert (await bench.journal(session))["status"] == "active"
