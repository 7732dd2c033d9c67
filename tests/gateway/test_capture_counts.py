"""Every row that a write changed is recorded, or counted: against the row limit, for the session, in the receipt."""

from typing import Any

import pytest

from tests.fixtures.bench import GUEST, OWNER, Workshop

_SIBLINGS = f"""
    CREATE TABLE cards (id int PRIMARY KEY, name text, place int NOT NULL DEFAULT 0);
    INSERT INTO cards SELECT n, 'card', n FROM generate_series(1, 50) AS n;
    CREATE FUNCTION move_others() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE cards SET place = place + 1 WHERE id <> new.id; RETURN NULL; END $$;
    CREATE TRIGGER move_others AFTER INSERT OR UPDATE ON cards FOR EACH ROW
        WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION move_others();
    CREATE FUNCTION stamp_again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        UPDATE cards SET name = name || '!' WHERE id = new.id; RETURN NULL; END $$;
    GRANT INSERT ON cards TO {GUEST};
"""


def unseen(table: str, inserted: int = 0, updated: int = 0, deleted: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "schema": "public", "table": table, "inserted": inserted, "updated": updated, "deleted": deleted, **more
    }  # fmt: skip


async def test_what_a_trigger_updates_in_the_written_table_is_counted(workshop: Workshop) -> None:
    bench = await workshop.bench(_SIBLINGS)
    limited, free = await bench.agent(maxRowsPerWrite=49), await bench.agent(maxRowsPerWrite=50)
    refused = await limited.http.patch("/cards?id=eq.1", json={"name": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "row_limit")
    assert await bench.rows("SELECT sum(place) FROM cards WHERE id > 1") == [{"sum": 50 * 51 // 2 - 1}]
    written = await free.write("PATCH", "/cards?id=eq.1", {"name": "x"})
    assert [one["after"]["id"] for one in written.changes] == [1]
    assert written.unseen == [unseen("cards", updated=49)]
    undone = await bench.person.post(
        f"/api/connections/{bench.connection_id}/sessions/{written.session_id}/undo", json={"mode": "apply"}
    )
    assert undone.json()["irreversible"] == [
        "49 rows updated in public.cards by functions or triggers, not recorded.",
        "49 rows updated in public.cards by triggers during this undo, not recorded.",
    ]


async def test_a_recorded_row_that_a_trigger_updates_once_more_counts_once(workshop: Workshop) -> None:
    bench = await workshop.bench(
        _SIBLINGS
        + """DROP TRIGGER move_others ON cards;
        CREATE TRIGGER stamp_again AFTER INSERT OR UPDATE OF place ON cards FOR EACH ROW
            EXECUTE FUNCTION stamp_again();"""
    )
    agent = await bench.agent(maxRowsPerWrite=3)
    written = await agent.write("PATCH", "/cards?id=lte.3", {"place": 0})
    assert [one["after"]["name"] for one in written.changes] == ["card!"] * 3
    assert written.unseen == []
    assert (await agent.write("POST", "/cards", [{"id": 60, "name": "a"}])).row_changes()[0][3] == {
        "id": 60, "name": "a!", "place": 0
    }  # fmt: skip


async def test_rows_of_triggers_are_not_taken_for_inserted_ones(workshop: Workshop) -> None:
    """An insert-only role returns nothing, so its rows are found as what the transaction wrote."""
    bench = await workshop.bench(_SIBLINGS)
    refused = await (await bench.agent(dbRole=GUEST)).http.post("/cards", json={"id": 60, "name": "x"})
    assert refused.status_code in (403, 401)
    await bench.run(f"ALTER FUNCTION move_others() SECURITY DEFINER; ALTER FUNCTION move_others() OWNER TO {OWNER}")
    agent = await bench.agent(dbRole=GUEST)
    refused = await agent.http.post("/cards", json={"id": 60, "name": "x"}, headers={"prefer": "return=minimal"})
    assert (refused.status_code, refused.json()["code"]) == (403, "capture_unsupported")
    assert await bench.rows("SELECT count(*) FROM cards") == [{"count": 50}]


async def test_an_inner_blocks_rows_are_the_transactions_own(workshop: Workshop) -> None:
    bench = await workshop.bench(f"""
        CREATE TABLE letters (id int PRIMARY KEY, body text, state text);
        CREATE FUNCTION deliver() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
            BEGIN UPDATE letters SET state = 'sent' WHERE id = new.id; EXCEPTION WHEN OTHERS THEN NULL; END;
            RETURN NULL; END $$;
        CREATE TRIGGER deliver AFTER INSERT ON letters FOR EACH ROW EXECUTE FUNCTION deliver();
        GRANT INSERT ON letters TO {GUEST};
    """)
    agent = await bench.agent(dbRole=GUEST)
    written = await agent.write("POST", "/letters", {"id": 1, "body": "x"}, prefer="return=minimal")
    assert written.row_changes() == [("letters", "insert", None, {"id": 1, "body": "x", "state": "sent"})]
    assert written.unseen == []


@pytest.mark.parametrize("role", [OWNER, GUEST])
async def test_keys_of_floats_are_found_whatever_their_text(workshop: Workshop, role: str) -> None:
    bench = await workshop.bench(
        f"""CREATE TABLE points (f float8 PRIMARY KEY, v text); GRANT ALL ON points TO {GUEST};
        ALTER TABLE points ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON points USING (true);
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER nothing AFTER INSERT ON points EXECUTE FUNCTION nothing();""",
        settings={"extra_float_digits": "0"},
    )
    agent = await bench.agent(dbRole=role)
    written = await agent.write("POST", "/points", '{"f": 0.30000000000000004, "v": "x"}')
    assert written.exact() == [("points", "insert", None, {"f": "0.30000000000000004", "v": "x"})]
    written = await agent.write("PATCH", "/points?v=eq.x", '{"f": 0.10000000000000003}')
    assert [one["afterExact"]["f"] for one in written.changes] == ["0.10000000000000003"]
    written = await agent.write(
        "POST", "/points", '{"f": 0.10000000000000003, "v": "y"}', prefer="resolution=merge-duplicates"
    )
    assert [(one["verb"], one["afterExact"]["v"]) for one in written.changes] == [("update", "y")]


async def test_keys_of_arrays_and_composites(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TYPE pair AS (a int, b text);
        CREATE TABLE lists (k int[] PRIMARY KEY, v text);
        CREATE TABLE pairs (k pair PRIMARY KEY, v text);
        INSERT INTO lists VALUES ('{1,2}', 'a'), ('{3}', 'b');
        INSERT INTO pairs VALUES ((1, 'x,"y"'), 'a');
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER nothing AFTER UPDATE OR INSERT OR DELETE ON lists EXECUTE FUNCTION nothing();
        CREATE TRIGGER nothing AFTER UPDATE OR INSERT OR DELETE ON pairs EXECUTE FUNCTION nothing();
    """)
    agent = await bench.agent()
    merge = "resolution=merge-duplicates"
    for table, old, new in (("lists", [1, 2], [4, 5]), ("pairs", {"a": 1, "b": 'x,"y"'}, {"a": 2, "b": "z"})):
        written = await agent.write("PATCH", f"/{table}?v=eq.a", {"v": "c"})
        assert written.row_changes() == [(table, "update", {"k": old, "v": "a"}, {"k": old, "v": "c"})]
        written = await agent.write("POST", f"/{table}", [{"k": old, "v": "d"}, {"k": new, "v": "n"}], prefer=merge)
        assert sorted(one["verb"] for one in written.changes) == ["insert", "update"]
        assert len((await agent.write("DELETE", f"/{table}?v=eq.n")).changes) == 1


async def test_a_temporary_table_hides_no_counter(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE secrets (id int PRIMARY KEY, n int DEFAULT 0);
        INSERT INTO secrets SELECT generate_series(1, 9);
        CREATE FUNCTION touch() RETURNS void LANGUAGE sql AS 'UPDATE secrets SET n = n + 1';
        CREATE FUNCTION hide() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
            CREATE TEMP TABLE IF NOT EXISTS pg_class AS SELECT * FROM pg_catalog.pg_class LIMIT 0;
            CREATE TEMP TABLE IF NOT EXISTS pg_locks AS SELECT * FROM pg_catalog.pg_locks LIMIT 0;
            PERFORM set_config('search_path', 'pg_temp, pg_catalog, public', true);
            UPDATE public.secrets SET n = n + 1; END $$;
    """)
    agent = await bench.agent(maxRowsPerWrite=1)
    for name in ("hide", "touch", "hide", "touch"):
        refused = await agent.http.post(f"/rpc/{name}")
        assert (refused.status_code, refused.json()["code"]) == (403, "row_limit")
    free = await bench.agent()
    assert (await free.write("POST", "/rpc/hide")).unseen == [unseen("secrets", updated=9)]
    assert (await free.write("POST", "/rpc/touch")).unseen == [unseen("secrets", updated=9)]


async def test_an_emptied_table_is_reported_and_passes_no_limit(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2);
        CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (0) TO (10); INSERT INTO parts VALUES (1);
        CREATE TABLE switch (id int PRIMARY KEY, n int); INSERT INTO switch VALUES (1, 0);
        CREATE FUNCTION wipe() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO a SELECT generate_series(3, 9); TRUNCATE a, parts;
            CREATE TABLE fresh (id int); INSERT INTO fresh VALUES (1); TRUNCATE fresh; DROP TABLE fresh; END $$;
        CREATE FUNCTION drop_one() RETURNS void LANGUAGE sql AS 'DROP TABLE a';
        CREATE FUNCTION wipe_too() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            TRUNCATE a; RETURN NULL; END $$;
        CREATE TRIGGER wipe_too AFTER UPDATE ON switch EXECUTE FUNCTION wipe_too();
    """)
    agent = await bench.agent(maxRowsPerWrite=1000)
    for method, path in (("POST", "/rpc/wipe"), ("POST", "/rpc/drop_one"), ("PATCH", "/switch?id=eq.1")):
        refused = await agent.http.request(method, path, json={"n": 5} if method == "PATCH" else {})
        assert (refused.status_code, refused.json()["code"]) == (403, "row_limit"), refused.text
    assert await bench.rows("SELECT (SELECT count(*) FROM a) AS a, (SELECT count(*) FROM parts) AS p") == [
        {"a": 2, "p": 1}
    ]
    base = f"/api/v/{bench.connection_id}/rest/v1"
    answer = await bench.person.post(f"{base}/rpc/wipe", json={})
    assert answer.is_success, answer.text
    journal = await bench.journal(answer.headers["x-basewarden-session"])
    assert journal["writes"][-1]["unseen"] == [unseen("a", emptied=True), unseen("parts", emptied=True)]
    undo = f"/api/connections/{bench.connection_id}/sessions/{answer.headers['x-basewarden-session']}/undo"
    receipt = (await bench.person.post(undo, json={"mode": "preview"})).json()
    assert "All rows of public.a, truncated by functions or triggers." in receipt["irreversible"]


async def test_what_is_not_counted_is_not_written(workshop: Workshop) -> None:
    bench = await workshop.bench(
        "CREATE TABLE a (id int PRIMARY KEY);"
        "CREATE FUNCTION add() RETURNS void LANGUAGE sql AS 'INSERT INTO a VALUES (1)';"
    )
    await bench.run(f"ALTER ROLE {OWNER} IN DATABASE {bench.dsn.rpartition('/')[2]} SET track_counts = off")
    refused = await (await bench.agent()).http.post("/rpc/add")
    assert (refused.status_code, refused.json()["code"]) == (403, "capture_unsupported")
    assert await bench.rows("SELECT * FROM a") == []


async def test_partitions_are_counted_under_the_name_of_their_table(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE ev (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
        CREATE TABLE ev_a PARTITION OF ev FOR VALUES FROM (0) TO (10);
        CREATE TABLE ev_b PARTITION OF ev FOR VALUES FROM (10) TO (20);
        CREATE TABLE log (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE log_a PARTITION OF log FOR VALUES FROM (0) TO (100);
        INSERT INTO ev VALUES (1, 0), (2, 0), (12, 0);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO log VALUES (new.id); RETURN new; END $$;
        CREATE TRIGGER note BEFORE UPDATE OF id ON ev FOR EACH ROW WHEN (pg_trigger_depth() = 0)
            EXECUTE FUNCTION note();
    """)
    agent = await bench.agent()
    written = await agent.write("PATCH", "/ev?id=eq.1", {"id": 11})
    assert [(one["table"], one["verb"], one["after"]["id"]) for one in written.changes] == [("ev", "update", 11)]
    assert written.unseen == [unseen("log", inserted=1)]


_SIDE = """
    CREATE TABLE side (n int);
    CREATE FUNCTION leave() RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO side VALUES (1); RETURN 1; END';
    CREATE FUNCTION quiet() RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN RETURN leave(); END';
    CREATE FUNCTION passes(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN quiet() = 1; END';
    CREATE DOMAIN picky AS int CHECK (passes(VALUE));
    CREATE TYPE holder AS (p picky);
"""
_CODE = {
    "default": "CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT quiet())",
    "check": "CREATE TABLE t (id int PRIMARY KEY, n int CHECK (passes(n)))",
    "generated": "CREATE TABLE t (id int PRIMARY KEY, n bool GENERATED ALWAYS AS (passes(id)) STORED)",
    "domain": "CREATE TABLE t (id int PRIMARY KEY, n picky DEFAULT 1)",
    "array of a domain": "CREATE TABLE t (id int PRIMARY KEY, n picky[] DEFAULT ARRAY[1]::picky[])",
    "domain in a composite": "CREATE TABLE t (id int PRIMARY KEY, n holder DEFAULT ROW(1)::holder)",
    "index": "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX ON t ((passes(n)))",
    "index over some": "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX ON t (n) WHERE passes(id)",
    "policy": """CREATE TABLE t (id int PRIMARY KEY, n int); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON t USING (true) WITH CHECK (passes(id))""",
    "policy of another": """CREATE TABLE u (id int); INSERT INTO u VALUES (1); ALTER TABLE u ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON u USING (passes(id)); CREATE TABLE t (id int PRIMARY KEY, n int);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON t USING (true) WITH CHECK ((SELECT count(*) FROM u) = 1)""",
    "SQL in text": """CREATE TABLE t (id int PRIMARY KEY,
        n tsquery DEFAULT ts_rewrite('a', 'SELECT ''a''::tsquery, ''b''::tsquery WHERE quiet() = 1'))""",
    "partition": """CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
        CREATE TABLE t_a PARTITION OF t FOR VALUES FROM (0) TO (9); ALTER TABLE t_a ADD CHECK (passes(id))""",
    "trigger of a partition": """CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);
        CREATE TABLE t_a PARTITION OF t FOR VALUES FROM (0) TO (9);
        CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM leave(); RETURN new; END';
        CREATE TRIGGER fire BEFORE INSERT ON t_a FOR EACH ROW EXECUTE FUNCTION fire()""",
}  # fmt: skip


@pytest.mark.parametrize("place", _CODE)
async def test_what_code_leaves_behind_is_counted_wherever_it_is_called(workshop: Workshop, place: str) -> None:
    bench = await workshop.bench(f"{_SIDE} {_CODE[place]}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {GUEST}")
    await bench.run("DELETE FROM side")
    agent = await bench.agent(dbRole=GUEST)
    written = await agent.write("POST", "/t?select=id", {"id": 1}, prefer="return=minimal")
    left = (await bench.rows("SELECT count(*) AS n FROM side"))[0]["n"]
    assert left >= 1
    assert [one["after"]["id"] for one in written.changes] == [1]
    assert written.unseen == [unseen("side", inserted=left)]
    limited = await bench.agent(dbRole=GUEST, maxRowsPerWrite=1)
    refused = await limited.http.post("/t", json={"id": 2})
    assert (refused.status_code, refused.json()["code"]) == (403, "row_limit"), refused.text


@pytest.mark.parametrize("query", ["id=eq.1&also=eq.1", "id=eq.1&select=id,also", "id=eq.1&select=id,others(id)"])
async def test_what_a_request_asks_for_besides_columns_is_counted(workshop: Workshop, query: str) -> None:
    bench = await workshop.bench(f"""{_SIDE}
        CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0);
        CREATE VIEW others AS SELECT id, quiet() AS q FROM t WHERE quiet() = 1;
        CREATE FUNCTION also(t) RETURNS int LANGUAGE sql STABLE AS 'SELECT quiet()';
        CREATE FUNCTION others(t) RETURNS SETOF others LANGUAGE sql STABLE AS 'SELECT * FROM others';
    """)
    written = await (await bench.agent()).write("PATCH", f"/t?{query}", {"n": 1})
    left = (await bench.rows("SELECT count(*) AS n FROM side"))[0]["n"]
    assert left >= 1
    assert written.unseen == [unseen("side", inserted=left)]


async def test_code_that_comes_later_is_counted_from_then_on(workshop: Workshop) -> None:
    """A policy or an index changes no column, but the stamp of its table."""
    bench = await workshop.bench(f"{_SIDE} CREATE TABLE t (id int PRIMARY KEY, n int); GRANT ALL ON t TO {GUEST};")
    agent = await bench.agent(dbRole=GUEST)
    assert (await agent.write("POST", "/t", {"id": 1})).unseen == []
    await bench.run("ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (true) WITH CHECK (true)")
    await agent.write("POST", "/t", {"id": 2})
    await bench.run(f"ALTER POLICY p ON t WITH CHECK (passes(id)); GRANT ALL ON side TO {GUEST}")
    assert [one["table"] for one in (await agent.write("POST", "/t", {"id": 3})).unseen] == ["side"]
