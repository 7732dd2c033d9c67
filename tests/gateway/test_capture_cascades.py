"""What foreign keys and triggers change as a consequence of a write, and how the journal records it."""

from tests.fixtures.bench import GUEST, BenchWrite, Workshop, on_both_backends


def list_changed(written: BenchWrite) -> set[tuple[str, str, str, str | None]]:
    """Table, verb, the key before (of an insert: after) and the key after, as one line each."""
    return {
        (
            one["table"],
            one["verb"],
            ",".join(str(value) for value in one["primaryKey"].values()),
            ",".join(str((one["after"] or {}).get(name)) for name in one["primaryKey"]) if one["after"] else None,
        )
        for one in written.changes
    }


async def test_delete_cascades_down_a_chain(workshop: Workshop) -> None:
    bench = await workshop.bench(f"""
        CREATE TABLE a (id int PRIMARY KEY);
        CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE CASCADE);
        CREATE TABLE c (b_id int REFERENCES b ON DELETE CASCADE, n int, PRIMARY KEY (b_id, n));
        CREATE TABLE d (id int PRIMARY KEY, c_b int, c_n int, note text,
            FOREIGN KEY (c_b, c_n) REFERENCES c ON DELETE SET NULL (c_n));
        INSERT INTO a VALUES (1), (2);
        INSERT INTO b VALUES (10, 1), (11, 1), (20, 2);
        INSERT INTO c VALUES (10, 1), (10, 2), (20, 1);
        INSERT INTO d VALUES (100, 10, 1, 'stays'), (200, 20, 1, 'apart');
        GRANT SELECT, DELETE ON a TO {GUEST};
    """)
    agent = await bench.agent(dbRole=GUEST)
    written = await agent.write("DELETE", "/a?id=eq.1")
    assert list_changed(written) == {
        ("a", "delete", "1", None),
        ("b", "delete", "10", None),
        ("b", "delete", "11", None),
        ("c", "delete", "10,1", None),
        ("c", "delete", "10,2", None),
        ("d", "update", "100", "100"),
    }
    (kept,) = [one for one in written.changes if one["table"] == "d"]
    assert (kept["after"]["c_b"], kept["after"]["c_n"]) == (10, None)
    assert kept["cause"] == "d_c_b_c_n_fkey on delete"
    assert await bench.rows("SELECT id, c_b, c_n FROM d ORDER BY id") == [
        {"id": 100, "c_b": 10, "c_n": None},
        {"id": 200, "c_b": 20, "c_n": 1},
    ]


async def test_set_null_and_set_default(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY);
        CREATE TABLE n (id int PRIMARY KEY, a_id int REFERENCES a ON DELETE SET NULL);
        CREATE TABLE f (id int PRIMARY KEY, a_id int DEFAULT 0 REFERENCES a ON DELETE SET DEFAULT);
        INSERT INTO a VALUES (0), (1); INSERT INTO n VALUES (5, 1), (6, 0); INSERT INTO f VALUES (7, 1), (8, 0);
    """)
    written = await (await bench.agent()).write("DELETE", "/a?id=eq.1")
    assert sorted((table, verb, after) for table, verb, _, after in written.row_changes() if after) == [
        ("f", "update", {"id": 7, "a_id": 0}),
        ("n", "update", {"id": 5, "a_id": None}),
    ]


async def test_a_row_reached_on_two_ways_is_recorded_once(workshop: Workshop) -> None:
    """It is first set to null, then deleted by the other key: before is what it was at first."""
    bench = await workshop.bench("""
        CREATE TABLE root (id int PRIMARY KEY);
        CREATE TABLE middle (id int PRIMARY KEY, root_id int REFERENCES root ON DELETE CASCADE);
        CREATE TABLE leaf (id int PRIMARY KEY, root_id int REFERENCES root ON DELETE SET NULL,
            middle_id int REFERENCES middle ON DELETE CASCADE);
        CREATE TABLE below (id int PRIMARY KEY, leaf_id int REFERENCES leaf ON DELETE CASCADE);
        INSERT INTO root VALUES (1); INSERT INTO middle VALUES (2, 1); INSERT INTO leaf VALUES (3, 1, 2);
        INSERT INTO below VALUES (4, 3);
    """)
    written = await (await bench.agent()).write("DELETE", "/root?id=eq.1")
    assert list_changed(written) == {
        ("root", "delete", "1", None),
        ("middle", "delete", "2", None),
        ("leaf", "delete", "3", None),
        ("below", "delete", "4", None),
    }
    (leaf,) = [one for one in written.changes if one["table"] == "leaf"]
    assert leaf["before"] == {"id": 3, "root_id": 1, "middle_id": 2}


async def test_self_references_and_circles(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
        INSERT INTO tree VALUES (1, 1), (2, 1), (3, 2), (4, NULL), (5, 4);
        CREATE TABLE x (id int PRIMARY KEY, y int);
        CREATE TABLE y (id int PRIMARY KEY, x int REFERENCES x ON DELETE CASCADE);
        ALTER TABLE x ADD FOREIGN KEY (y) REFERENCES y ON DELETE CASCADE;
        INSERT INTO x VALUES (1, NULL), (2, NULL); INSERT INTO y VALUES (1, 1), (2, 2);
        UPDATE x SET y = 3 - id;
    """)
    agent = await bench.agent()
    assert list_changed(await agent.write("DELETE", "/tree?id=eq.1")) == {
        ("tree", "delete", str(n), None) for n in (1, 2, 3)
    }
    assert list_changed(await agent.write("DELETE", "/x?id=eq.1")) == {
        (table, "delete", key, None) for table in ("x", "y") for key in ("1", "2")
    }


async def test_a_new_key_travels_into_the_keys_of_children(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (code text PRIMARY KEY);
        CREATE TABLE b (code text REFERENCES a ON UPDATE CASCADE, n int, PRIMARY KEY (code, n));
        CREATE TABLE c (id int PRIMARY KEY, code text, n int,
            FOREIGN KEY (code, n) REFERENCES b ON UPDATE CASCADE);
        CREATE TABLE d (id int PRIMARY KEY, code text REFERENCES a ON UPDATE SET NULL);
        INSERT INTO a VALUES ('old'), ('other'); INSERT INTO b VALUES ('old', 1), ('old', 2), ('other', 1);
        INSERT INTO c VALUES (1, 'old', 1), (2, 'other', 1); INSERT INTO d VALUES (9, 'old');
    """)
    written = await (await bench.agent()).write("PATCH", "/a?code=eq.old", {"code": "new, \"quoted\" 'too'"})
    new = "new, \"quoted\" 'too'"
    assert list_changed(written) == {
        ("a", "update", "old", new),
        ("b", "update", "old,1", f"{new},1"),
        ("b", "update", "old,2", f"{new},2"),
        ("c", "update", "1", "1"),
        ("d", "update", "9", "9"),
    }


async def test_set_default_may_move_a_childs_key(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY);
        CREATE TABLE b (a_id int DEFAULT 0 REFERENCES a ON DELETE SET DEFAULT, n int, PRIMARY KEY (a_id, n));
        INSERT INTO a VALUES (0), (1); INSERT INTO b VALUES (1, 5), (1, 6);
    """)
    written = await (await bench.agent()).write("DELETE", "/a?id=eq.1")
    assert list_changed(written) == {
        ("a", "delete", "1", None),
        ("b", "update", "1,5", "0,5"),
        ("b", "update", "1,6", "0,6"),
    }


async def test_children_without_a_key_are_changed_not_lost(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY);
        CREATE TABLE log (a_id int REFERENCES a ON DELETE SET NULL, line text);
        INSERT INTO a VALUES (1); INSERT INTO log VALUES (1, 'x'), (1, 'x'), (1, 'y');
    """)
    written = await (await bench.agent()).write("DELETE", "/a?id=eq.1")
    changes = [(before, after) for table, _, before, after in written.row_changes() if table == "log"]
    assert sorted(changes, key=str) == [
        ({"a_id": 1, "line": line}, {"a_id": None, "line": line}) for line in ("x", "x", "y")
    ]


_TRIGGERS = """
    CREATE TABLE notes (id int PRIMARY KEY, body text, stamped int DEFAULT 0, kept bool DEFAULT false);
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.stamped := OLD.stamped + 1; RETURN NEW; END $$;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF OLD.kept THEN RETURN NULL; END IF; RETURN OLD; END $$;
    CREATE TRIGGER stamp BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE TRIGGER refuse BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION refuse();
    INSERT INTO notes VALUES (1, 'a', 0, false), (2, 'b', 0, true);
"""


async def test_what_triggers_stamp_is_in_the_image(workshop: Workshop) -> None:
    written = await (await (await workshop.bench(_TRIGGERS)).agent()).write("PATCH", "/notes?id=eq.1", {"body": "x"})
    (change,) = written.changes
    assert change["after"] == {"id": 1, "body": "x", "stamped": 1, "kept": False}


async def test_a_delete_that_a_trigger_suppresses_is_not_recorded(workshop: Workshop) -> None:
    written = await (await (await workshop.bench(_TRIGGERS)).agent()).write("DELETE", "/notes?id=gte.1")
    assert list_changed(written) == {("notes", "delete", "1", None)}


async def test_a_soft_delete_by_trigger_is_an_update(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE notes (id int PRIMARY KEY, gone bool DEFAULT false);
        CREATE FUNCTION soften() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN UPDATE notes SET gone = true WHERE id = OLD.id; RETURN NULL; END $$;
        CREATE TRIGGER soften BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION soften();
        INSERT INTO notes VALUES (1);
    """)
    written = await (await bench.agent()).write("DELETE", "/notes?id=eq.1")
    assert written.row_changes() == [("notes", "update", {"id": 1, "gone": False}, {"id": 1, "gone": True})]


async def test_a_trigger_that_renames_the_key_is_followed(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE tags (name text PRIMARY KEY, n int);
        CREATE FUNCTION lower_it() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.name := lower(NEW.name) || NEW.n; RETURN NEW; END $$;
        CREATE TRIGGER lower_it BEFORE INSERT OR UPDATE ON tags FOR EACH ROW EXECUTE FUNCTION lower_it();
    """)
    agent = await bench.agent()
    assert list_changed(await agent.write("POST", "/tags", {"name": "ABC", "n": 1})) == {
        ("tags", "insert", "abc1", "abc1")
    }
    assert list_changed(await agent.write("PATCH", "/tags?name=eq.abc1", {"n": 2})) == {
        ("tags", "update", "abc1", "abc12")
    }


async def test_deferred_triggers_run_as_the_caller_and_their_stamps_are_seen(workshop: Workshop) -> None:
    bench = await workshop.bench(f"""
        CREATE TABLE notes (id int PRIMARY KEY, who text);
        CREATE TABLE fenced (id int PRIMARY KEY);
        INSERT INTO fenced VALUES (1), (2);
        ALTER TABLE fenced ENABLE ROW LEVEL SECURITY;
        CREATE POLICY one ON fenced TO {GUEST} USING (id = 1);
        CREATE FUNCTION sign_late() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                UPDATE notes SET who = current_user || (SELECT count(*) FROM fenced) WHERE id = NEW.id;
                RETURN NULL;
            END $$;
        CREATE CONSTRAINT TRIGGER sign_late AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION sign_late();
        GRANT SELECT, INSERT, UPDATE ON notes TO {GUEST}; GRANT SELECT ON fenced TO {GUEST};
    """)
    written = await (await bench.agent(dbRole=GUEST)).write("POST", "/notes", {"id": 1})
    assert [after for *_, after in written.row_changes()] == [{"id": 1, "who": f"{GUEST}1"}]
    assert await bench.rows("SELECT who FROM notes") == [{"who": f"{GUEST}1"}]


async def test_a_deferred_constraint_refuses_before_anything_is_journaled(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY);
        CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
    """)
    answer = await (await bench.agent()).http.post("/b", json={"id": 1, "a_id": 9})
    assert (answer.status_code, answer.json()["code"]) == (409, "23503")
    assert "x-basewarden-session" not in answer.headers
    assert await bench.sessions() == []


async def test_a_generated_column_may_be_what_a_foreign_key_follows(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE p (id int PRIMARY KEY, code text, slug text GENERATED ALWAYS AS (lower(code)) STORED UNIQUE);
        CREATE TABLE k (id int PRIMARY KEY, slug text REFERENCES p (slug) ON UPDATE CASCADE);
        INSERT INTO p VALUES (1, 'A'); INSERT INTO k VALUES (7, 'a');
    """)
    agent = await bench.agent()
    for code in ("B", "C"):
        written = await agent.write("PATCH", "/p?id=eq.1", {"code": code})
        assert [(table, after["slug"]) for table, _, _, after in written.row_changes() if after] == [
            ("p", code.lower()), ("k", code.lower()),
        ]  # fmt: skip


async def test_what_the_code_of_a_default_or_a_check_writes_is_counted(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE log (x text);
        CREATE FUNCTION note(x text) RETURNS int LANGUAGE plpgsql AS
            'BEGIN INSERT INTO log VALUES (x); RETURN 5; END';
        CREATE TABLE a (id int PRIMARY KEY, n int DEFAULT note('default'));
        CREATE TABLE b (id int PRIMARY KEY, n int CHECK (note('check') = n));
    """)
    agent = await bench.agent()
    for path, row in (("/a", {"id": 1}), ("/b", {"id": 1, "n": 5})):
        written = await agent.write("POST", path, row)
        assert written.unseen == [{"schema": "public", "table": "log", "inserted": 1, "updated": 0, "deleted": 0}]


_LISTED = """
    CREATE TABLE p (id int PRIMARY KEY, code text UNIQUE, n int);
    CREATE TABLE gone (id int PRIMARY KEY, p_id int REFERENCES p ON DELETE CASCADE);
    CREATE TABLE moved (id int PRIMARY KEY, p_code text REFERENCES p (code) ON UPDATE CASCADE ON DELETE SET NULL);
    INSERT INTO p VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0); INSERT INTO gone VALUES (1, 1);
    INSERT INTO moved VALUES (2, 'b');
"""


@on_both_backends
async def test_a_foreign_key_changes_nothing_outside_the_list(workshop: Workshop) -> None:
    bench = await workshop.bench(_LISTED)
    agent = await bench.agent(tables=["p"])
    for method, path, body in (
        ("DELETE", "/p?id=eq.1", None),
        ("DELETE", "/p?id=eq.2", None),
        ("PATCH", "/p?id=eq.2", {"code": "z"}),
    ):
        refused = await agent.http.request(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (403, "table_denied"), (method, path)
        assert "gone" not in refused.text
        assert "moved" not in refused.text
    assert len(await bench.rows("SELECT FROM p JOIN (SELECT p_id FROM gone) g ON g.p_id = p.id")) == 1
    assert await bench.rows("SELECT p_code FROM moved") == [{"p_code": "b"}]
    assert len((await agent.write("DELETE", "/p?id=eq.3")).changes) == 1
    assert len((await agent.write("PATCH", "/p?id=eq.2", {"n": 5})).changes) == 1
    both = await bench.agent(tables=["p", "gone", "moved"])
    assert {one["table"] for one in (await both.write("DELETE", "/p?id=in.(1,2)")).changes} == {"p", "gone", "moved"}


async def test_a_cascade_over_the_limit_is_not_read_to_its_end(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE TABLE c (id int PRIMARY KEY, p_id int REFERENCES p ON DELETE CASCADE);
        CREATE TABLE d (id int PRIMARY KEY, c_id int REFERENCES c ON DELETE CASCADE);
        INSERT INTO p VALUES (1); INSERT INTO c SELECT n, 1 FROM generate_series(1, 20) n;
        INSERT INTO d SELECT n, n FROM generate_series(1, 20) n;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'deleted'; END $$;
        CREATE TRIGGER fail BEFORE DELETE ON p EXECUTE FUNCTION fail();
    """)
    agent = await bench.agent(maxRowsPerWrite=10)
    refused = await agent.http.delete("/p?id=eq.1")
    assert (refused.status_code, refused.json()["code"]) == (403, "row_limit"), "before anything was deleted"
    assert (await (await bench.agent()).http.delete("/p?id=eq.1")).json()["code"] == "P0001"


async def test_foreign_keys_of_and_to_a_partition_are_recorded_under_its_tables_name(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE owner (id int PRIMARY KEY);
        CREATE TABLE ev (id int PRIMARY KEY, owner_id int, n int) PARTITION BY RANGE (id);
        CREATE TABLE ev_a PARTITION OF ev FOR VALUES FROM (0) TO (10);
        CREATE TABLE ev_b PARTITION OF ev FOR VALUES FROM (10) TO (20);
        ALTER TABLE ev_a ADD CONSTRAINT a_owner FOREIGN KEY (owner_id) REFERENCES owner ON DELETE SET NULL;
        CREATE TABLE note (id int PRIMARY KEY, ev_id int REFERENCES ev_a ON DELETE CASCADE);
        INSERT INTO owner VALUES (1); INSERT INTO ev VALUES (1, 1, 0), (11, 1, 0); INSERT INTO note VALUES (5, 1);
    """)
    agent = await bench.agent()
    written = await agent.write("PATCH", "/ev?id=eq.1", {"n": 5}, headers={"x-basewarden-session": "one"})
    written = await agent.write("DELETE", "/owner?id=eq.1", headers={"x-basewarden-session": "one"})
    assert list_changed(written) == {("owner", "delete", "1", None), ("ev", "update", "1", "1")}
    undo = f"/api/connections/{bench.connection_id}/sessions/{written.session_id}/undo"
    receipt = (await bench.person.post(undo, json={"mode": "apply"})).json()
    assert (receipt["conflicts"], receipt["irreversible"]) == ([], [])
    assert await bench.rows("SELECT owner_id, n FROM ev_a") == [{"owner_id": 1, "n": 0}]
    written = await agent.write("DELETE", "/ev?id=eq.1")
    assert list_changed(written) == {("ev", "delete", "1", None), ("note", "delete", "5", None)}
