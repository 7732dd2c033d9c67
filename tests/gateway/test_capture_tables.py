"""Tables of every shape and name."""

from urllib.parse import quote

import pytest

from tests.fixtures.bench import GUEST, Workshop


@pytest.mark.parametrize("role", [None, GUEST], ids=["login", "dbRole"])
async def test_a_table_without_any_key(workshop: Workshop, role: str | None) -> None:
    bench = await workshop.bench(f"""
        CREATE TABLE log (line text, n int); INSERT INTO log VALUES ('x', 1), ('x', 1), ('y', 2);
        ALTER TABLE log ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON log TO {GUEST} USING (true);
        GRANT SELECT, INSERT, UPDATE, DELETE ON log TO {GUEST};
    """)
    agent = await bench.agent(dbRole=role)
    inserted = await agent.write("POST", "/log", [{"line": "z"}, {"line": "z"}])
    assert inserted.row_changes() == [("log", "insert", None, {"line": "z", "n": None})] * 2
    updated = await agent.write("PATCH", "/log?line=eq.x", {"n": 7})
    assert updated.row_changes() == [("log", "update", {"line": "x", "n": 1}, {"line": "x", "n": 7})] * 2
    assert [one["primaryKey"] for one in updated.changes] == [{}, {}]
    deleted = await agent.write("DELETE", "/log?n=eq.7")
    assert deleted.row_changes() == [("log", "delete", {"line": "x", "n": 7}, None)] * 2


async def test_composite_identity_and_generated(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE items (
            shop int, id bigint GENERATED ALWAYS AS IDENTITY, price numeric, twice numeric GENERATED ALWAYS
            AS (price * 2) STORED, PRIMARY KEY (shop, id));
    """)
    agent = await bench.agent()
    written = await agent.write("POST", "/items", [{"shop": 1, "price": 1.25}, {"shop": 1, "price": 2}])
    assert [after for *_, after in written.row_changes()] == [
        {"shop": 1, "id": 1, "price": 1.25, "twice": 2.50},
        {"shop": 1, "id": 2, "price": 2, "twice": 4},
    ]
    written = await agent.write("PATCH", "/items?shop=eq.1&id=eq.2", {"price": 3, "shop": 2})
    (change,) = written.changes
    assert (change["primaryKey"], change["after"]) == (
        {"shop": 1, "id": 2},
        {"shop": 2, "id": 2, "price": 3, "twice": 6},
    )


@pytest.mark.parametrize("key", ["PRIMARY KEY (id, region)", "CHECK (true)"], ids=["keyed", "keyless"])
async def test_rows_move_between_partitions(workshop: Workshop, key: str) -> None:
    bench = await workshop.bench(f"""
        CREATE TABLE sales (id int, region text, n int, {key}) PARTITION BY LIST (region);
        CREATE TABLE sales_eu PARTITION OF sales FOR VALUES IN ('eu');
        CREATE TABLE sales_us PARTITION OF sales FOR VALUES IN ('us');
        INSERT INTO sales VALUES (1, 'eu', 1), (2, 'us', 2), (3, 'eu', 3);
    """)
    agent = await bench.agent()
    moved = await agent.write("PATCH", "/sales?id=eq.1", {"region": "us"})
    assert moved.row_changes() == [
        ("sales", "update", {"id": 1, "region": "eu", "n": 1}, {"id": 1, "region": "us", "n": 1})
    ]
    gone = await agent.write("DELETE", "/sales?n=lte.2")
    assert {(verb, before["id"]) for _, verb, before, _ in gone.row_changes() if before} == {
        ("delete", 1),
        ("delete", 2),
    }


async def test_references_to_and_from_partitioned_tables(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE sales (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE sales_1 PARTITION OF sales FOR VALUES FROM (0) TO (100);
        CREATE TABLE lines (id int, sale int REFERENCES sales ON DELETE CASCADE, PRIMARY KEY (id))
            PARTITION BY RANGE (id);
        CREATE TABLE lines_1 PARTITION OF lines FOR VALUES FROM (0) TO (100);
        INSERT INTO sales VALUES (1); INSERT INTO lines VALUES (1, 1), (2, 1);
    """)
    written = await (await bench.agent()).write("DELETE", "/sales?id=eq.1")
    assert sorted((table, before["id"]) for table, _, before, _ in written.row_changes() if before) == [
        ("lines", 1),
        ("lines", 2),
        ("sales", 1),
    ]


async def test_changes_of_a_parents_child_tables_are_refused(workshop: Workshop) -> None:
    """Their rows are seen without the columns of their own, and what follows them is not seen at all."""
    bench = await workshop.bench("""
        CREATE TABLE animals (id int PRIMARY KEY, name text);
        CREATE TABLE dogs (breed text) INHERITS (animals);
        INSERT INTO animals VALUES (1, 'cat'); INSERT INTO dogs VALUES (2, 'rex', 'pug'), (1, 'pip', 'pug');
    """)
    agent = await bench.agent()
    merge = {"prefer": "resolution=merge-duplicates"}
    for answer in (
        await agent.http.patch("/animals?id=eq.1", json={"name": "max"}),
        await agent.http.delete("/animals?id=eq.2"),
        await agent.http.post("/animals", json={"id": 1, "name": "max"}, headers=merge),
        await agent.http.post("/animals", json={"id": 5, "name": "cow"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "capture_unsupported")
    assert [row["name"] for row in await bench.rows("SELECT name FROM animals ORDER BY name")] == ["cat", "pip", "rex"]
    assert (await agent.write("PATCH", "/dogs?id=eq.2", {"name": "max"})).changes[0]["before"]["breed"] == "pug"


_ALSO = """
    CREATE RULE one AS ON INSERT TO t DO ALSO INSERT INTO log VALUES (1, 'insert');
    CREATE RULE two AS ON UPDATE TO t DO ALSO INSERT INTO log VALUES (1, 'update');
    CREATE RULE three AS ON DELETE TO t DO ALSO INSERT INTO log VALUES (1, 'delete');
"""
_INSTEAD = """
    CREATE RULE one AS ON INSERT TO t DO INSTEAD INSERT INTO log VALUES (NEW.id, NEW.body) RETURNING log.*;
    CREATE RULE two AS ON UPDATE TO t DO INSTEAD UPDATE log SET body = NEW.body RETURNING log.*;
    CREATE RULE three AS ON DELETE TO t DO INSTEAD DELETE FROM log RETURNING log.*;
"""


@pytest.mark.parametrize("rules", [_ALSO, _INSTEAD], ids=["also", "instead"])
@pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])
async def test_a_table_with_rules_is_not_written_to(workshop: Workshop, rules: str, *, is_known: bool) -> None:
    """Nor by way of a foreign key from another. `is_known`: they were there before the first write."""
    bench = await workshop.bench("""
        CREATE TABLE parent (id int PRIMARY KEY, body text); INSERT INTO parent VALUES (1), (2);
        CREATE TABLE t (id int PRIMARY KEY REFERENCES parent ON DELETE CASCADE, body text); INSERT INTO t VALUES (1, 'a');
        CREATE TABLE log (id int, body text);
    """)
    agent = await bench.agent()
    if not is_known:
        await agent.write("PATCH", "/t?id=eq.1", {"body": "a"})
        await agent.write("PATCH", "/parent?id=eq.1", {"body": "a"})
    await bench.run(rules)
    for prefer in ("return=minimal", "return=representation"):
        for method, path, body in (
            ("POST", "/t", {"id": 2}),
            ("PATCH", "/t?id=eq.1", {"body": "b"}),
            ("DELETE", "/t?id=eq.1", None),
            ("DELETE", "/parent?id=eq.1", None),
        ):
            refused = await agent.http.request(method, path, json=body, headers={"prefer": prefer})
            assert (refused.status_code, refused.json()["code"]) == (403, "capture_unsupported"), refused.text
    assert await bench.rows("SELECT * FROM log") == []
    assert await bench.rows("SELECT * FROM t") == [{"id": 1, "body": "a"}]


@pytest.mark.parametrize("prefer", ["return=minimal", "return=representation"])
async def test_columns_that_are_called_like_our_own_names(workshop: Workshop, prefer: str) -> None:
    bench = await workshop.bench("CREATE TABLE t (bw_b0 int PRIMARY KEY, bw_i0 text, bw_count text, bw__number text)")
    agent = await bench.agent()
    row = {"bw_b0": 1, "bw_i0": "a", "bw_count": "b", "bw__number": "c"}
    assert (await agent.write("POST", "/t", row, prefer=prefer)).row_changes() == [("t", "insert", None, row)]
    changed = await agent.write("PATCH", "/t?bw_b0=eq.1", {"bw_count": "x"}, prefer=prefer)
    assert changed.row_changes() == [("t", "update", row, {**row, "bw_count": "x"})]
    assert len((await agent.write("DELETE", "/t?bw_b0=eq.1", prefer=prefer)).changes) == 1


async def test_a_very_wide_table(workshop: Workshop) -> None:
    """PostgreSQL's lists end at 1664 entries, and each column is selected more than once."""
    for width in (549, 560, 1000):
        columns = ", ".join(f"c{number} int DEFAULT {number}" for number in range(width))
        bench = await workshop.bench(f"CREATE TABLE t (id int PRIMARY KEY, {columns}); INSERT INTO t VALUES (1)")
        agent = await bench.agent()
        written = await agent.write("PATCH", "/t?id=eq.1", {"c5": 0})
        assert (written.changes[0]["before"]["c5"], written.answer.json()[0]["c548"]) == (5, 548)


async def test_an_index_that_compares_otherwise_is_no_key(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TYPE version AS (n numeric);
        CREATE TABLE t (k version NOT NULL, v text, n int); CREATE UNIQUE INDEX ON t (k record_image_ops);
        INSERT INTO t VALUES (ROW(1.0), 'one', 1), (ROW(1.00), 'two', 1);
    """)
    agent = await bench.agent()
    written = await agent.write("PATCH", "/t?n=eq.1", {"n": 2})
    assert sorted((one["before"]["v"], one["after"]["v"]) for one in written.changes) == [
        ("one", "one"),
        ("two", "two"),
    ]


@pytest.mark.parametrize("table", ["select", 'say "hi"', "ta ble", "töölaud", "bw_row", "t", "bw_key"])
async def test_odd_names(workshop: Workshop, table: str) -> None:
    """Tables and columns that are named like what our own statements use, and like nothing good."""
    columns = ["bw_row", "t", "pgrst_body", "bw_old", "k0", 'q"q', "sp ace", "ünï", "table", "ctid_"]

    def name(one: str) -> str:
        return '"' + one.replace('"', '""') + '"'

    bench = await workshop.bench(f"""
        CREATE TABLE {name(table)} ("id" int, {", ".join(f"{name(one)} text" for one in columns)},
            PRIMARY KEY (id, {name(columns[0])}, {name(columns[5])}));
        ALTER TABLE {name(table)} ENABLE ROW LEVEL SECURITY;
        CREATE POLICY everyone ON {name(table)} TO {GUEST} USING (true);
        GRANT SELECT, INSERT, UPDATE, DELETE ON {name(table)} TO {GUEST};
    """)
    path = f"/{quote(table)}"
    row = {"id": 1, **{one: f"{one}, {{}}\\\"'" for one in columns}}
    for role in (None, GUEST):
        agent = await bench.agent(dbRole=role)
        assert (await agent.write("POST", path, row)).row_changes() == [(table, "insert", None, row)]
        changed = {**row, "bw_row": "other", "t": "x"}
        merged = await agent.write("POST", path, {**row, "t": "m"}, prefer="resolution=merge-duplicates")
        assert merged.row_changes() == [(table, "update", row, {**row, "t": "m"})]
        updated = await agent.write("PATCH", f"{path}?id=eq.1&pgrst_body=not.is.null", {"bw_row": "other", "t": "x"})
        assert updated.row_changes() == [(table, "update", {**row, "t": "m"}, changed)]
        assert (await agent.write("DELETE", f"{path}?bw_row=eq.other")).row_changes() == [
            (table, "delete", changed, None)
        ]


async def test_upsert_keys_that_are_equal_but_not_the_same_text(workshop: Workshop) -> None:
    """1.00 is 1: the journal must know the row that was there."""
    bench = await workshop.bench(
        "CREATE TABLE rates (at numeric PRIMARY KEY, n int); INSERT INTO rates VALUES (1, 1), (2, 2)"
    )
    written = await (await bench.agent()).write(
        "POST", "/rates", '[{"at": 1.00, "n": 5}, {"at": 2.0, "n": 6}]', prefer="resolution=merge-duplicates"
    )
    assert written.exact() == [
        ("rates", "update", {"at": "1", "n": "1"}, {"at": "1.00", "n": "5"}),
        ("rates", "update", {"at": "2", "n": "2"}, {"at": "2.0", "n": "6"}),
    ]


async def test_upsert_of_rows_that_point_at_each_other(workshop: Workshop) -> None:
    """A foreign key locks the row that was just inserted, which looks like an update and is none."""
    bench = await workshop.bench("""
        CREATE TABLE tree (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, slug text UNIQUE,
            parent text REFERENCES tree (slug));
    """)
    written = await (await bench.agent()).write(
        "POST",
        "/tree?on_conflict=slug",
        [{"slug": "a", "parent": None}, {"slug": "b", "parent": "a"}],
        prefer="resolution=merge-duplicates,return=representation",
    )
    assert [(verb, after["slug"]) for _, verb, _, after in written.row_changes() if after] == [
        ("insert", "a"),
        ("insert", "b"),
    ]


async def test_an_upsert_whose_trigger_rewrites_the_key(workshop: Workshop) -> None:
    bench = await workshop.bench("""
        CREATE TABLE mails (mail text PRIMARY KEY, n int);
        CREATE FUNCTION lower_it() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN NEW.mail := lower(NEW.mail); RETURN NEW; END $$;
        CREATE TRIGGER lower_it BEFORE INSERT ON mails FOR EACH ROW EXECUTE FUNCTION lower_it();
        INSERT INTO mails VALUES ('a@x.org', 1);
    """)
    written = await (await bench.agent()).write(
        "POST", "/mails", {"mail": "A@X.org", "n": 2}, prefer="resolution=merge-duplicates"
    )
    assert written.row_changes() == [("mails", "update", {"mail": "a@x.org", "n": 1}, {"mail": "a@x.org", "n": 2})]


async def test_views_and_foreign_kinds_are_refused(workshop: Workshop) -> None:
    bench = await workshop.bench("CREATE TABLE a (id int PRIMARY KEY); CREATE VIEW v AS SELECT * FROM a;")
    answer = await (await bench.agent()).http.post("/v", json={"id": 1})
    assert (answer.status_code, answer.json()["code"]) == (403, "capture_unsupported")
    assert await bench.rows("SELECT * FROM a") == []
