"""What the journal has of writes over a project's own API: every changed row, before and after, exactly."""

from dataclasses import replace
from typing import Any

import pytest

from basewarden.gateway import SnapshotStale
from basewarden.gateway.api.tables import LONGEST_QUERY
from basewarden.gateway.errors import NotCaptured, RollbackUnsupported
from basewarden.journal import SessionFrozen
from basewarden.policy import RowLimit
from pgrest import PgrestError
from tests.api_backend.api_bench import ApiBench, WatchedUpstream, body_of, reach_project
from tests.api_backend.conftest import OpenProject
from tests.api_backend.faulty_proxy import open_faulty_proxy
from tests.fakes.hostile import make_answer

SHOP = """
    CREATE TABLE customers (id int PRIMARY KEY, name text, n numeric(20,10), at timestamptz, tags text[], j json);
    CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers ON DELETE CASCADE, total int);
    CREATE TABLE lines (order_id int REFERENCES orders ON DELETE CASCADE, line int, PRIMARY KEY (order_id, line));
    CREATE TABLE notes (id int PRIMARY KEY, customer_id int REFERENCES customers ON DELETE SET NULL, x text);
    CREATE VIEW seen AS SELECT * FROM customers;
    CREATE FUNCTION tidy() RETURNS void LANGUAGE sql AS 'UPDATE notes SET x = upper(x)';
    INSERT INTO customers VALUES
        (1, 'ann', 1.1000000001, '2026-01-02 03:04:05.678901+00', '{a,"b,c"}', '{"a":  1, "a": 2}'),
        (2, 'bob', NULL, 'infinity', NULL, 'null'), (3, 'cid', 'NaN', NULL, '{}', NULL);
    INSERT INTO orders VALUES (10, 1, 5), (11, 1, 6), (12, 2, 7);
    INSERT INTO lines VALUES (10, 1), (10, 2), (12, 1);
    INSERT INTO notes VALUES (20, 1, 'x'), (21, NULL, 'y');
"""
MERGE = "resolution=merge-duplicates,return=representation"


@pytest.fixture
async def shop(open_project: OpenProject) -> ApiBench:
    return await open_project(SHOP)


async def test_an_update(shop: ApiBench) -> None:
    answer = await shop.write("PATCH", "/customers?id=lt.3&select=label:name", {"name": "x"})
    assert body_of(answer) == [{"label": "x"}, {"label": "x"}]
    write = await shop.last()
    assert (write.state, write.verb, write.unseen) == ("committed", "update", [])
    ann = {
        "id": "1",
        "name": "ann",
        "n": "1.1000000001",
        "at": "2026-01-02 03:04:05.678901+00",
        "tags": '{a,"b,c"}',
        "j": '{"a":  1, "a": 2}',
    }
    bob = {"id": "2", "name": "bob", "n": None, "at": "infinity", "tags": None, "j": "null"}
    assert write.exact == [(ann, {**ann, "name": "x"}), (bob, {**bob, "name": "x"})]
    assert write.changes[0][2] == {
        "id": 1,
        "name": "ann",
        "n": 1.1000000001,
        "at": "2026-01-02T03:04:05.678901+00:00",
        "tags": ["a", "b,c"],
        "j": {"a": 2},
    }


async def test_nothing_counts_a_table_that_is_only_added_to(shop: ApiBench) -> None:
    """Counting reads all of it, however large it is."""
    await shop.write("POST", "/notes", {"id": 30, "x": "z"})
    asked = [dict(request.headers).get("prefer", "") for request in shop.upstream.asked]
    assert asked
    assert not any("count=" in prefer for prefer in asked)


async def test_a_delete_with_its_cascade(shop: ApiBench) -> None:
    await shop.write("DELETE", "/customers?id=eq.1", prefer="return=minimal")
    write = await shop.last()
    assert sorted((table, verb, (b or {}).get("id", b)) for table, verb, b, _ in write.changes if table != "lines") == [
        ("customers", "delete", 1),
        ("notes", "update", 20),
        ("orders", "delete", 10),
        ("orders", "delete", 11),
    ]
    assert [b for table, _, b, _ in write.changes if table == "lines"] == [
        {"order_id": 10, "line": 1},
        {"order_id": 10, "line": 2},
    ]
    assert set(write.causes) == {
        "request",
        "orders.customer_id on delete",
        "lines.order_id on delete",
        "notes.customer_id on delete",
    }


async def test_a_delete_that_a_foreign_key_refuses(shop: ApiBench) -> None:
    await shop.run("ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey")
    await shop.run("ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers")
    answer = await shop.write("DELETE", "/customers?id=eq.1")
    assert (answer.response.status, body_of(answer)["code"], answer.session_id) == (409, "23503", None)
    assert await shop.wait_state("aborted")


async def test_another_clients_change_of_a_cascaded_row_is_theirs(shop: ApiBench) -> None:
    shop.upstream.before_write = "UPDATE notes SET x = 'theirs' WHERE id = 20"
    await shop.write("DELETE", "/customers?id=eq.1")
    (before, after) = next((b, a) for table, _, b, a in (await shop.last()).changes if table == "notes")
    assert before == {"id": 20, "customer_id": 1, "x": "theirs"}
    assert after == {"id": 20, "customer_id": None, "x": "theirs"}


async def test_a_key_that_moves_takes_its_followers_along(open_project: OpenProject) -> None:
    bench = await open_project("""
        CREATE TABLE a (id int PRIMARY KEY, x text);
        CREATE TABLE b (a_id int REFERENCES a ON UPDATE CASCADE, n int, PRIMARY KEY (a_id, n));
        CREATE TABLE c (id int PRIMARY KEY, a_id int REFERENCES a ON UPDATE SET NULL);
        INSERT INTO a VALUES (1, 'x'), (2, 'y'); INSERT INTO b VALUES (1, 7); INSERT INTO c VALUES (5, 1)
    """)
    await bench.write("PATCH", "/a?id=eq.1", {"id": 9})
    assert (await bench.last()).changes == [
        ("a", "update", {"id": 1, "x": "x"}, {"id": 9, "x": "x"}),
        ("b", "update", {"a_id": 1, "n": 7}, {"a_id": 9, "n": 7}),
        ("c", "update", {"id": 5, "a_id": 1}, {"id": 5, "a_id": None}),
    ]


async def test_many_keys_that_move(open_project: OpenProject) -> None:
    bench = await open_project("""
        CREATE TABLE t (a int, b int, x text, PRIMARY KEY (a, b));
        INSERT INTO t VALUES (1, 1, 'p'), (1, 2, 'q'), (2, 3, 'r')
    """)
    await bench.write("PATCH", "/t?x=in.(p,q,r)", {"a": 2})
    changes = (await bench.last()).changes
    assert [(b and (b["a"], b["b"]), a and (a["a"], a["b"])) for _, _, b, a in changes] == [
        ((1, 1), (2, 1)),
        ((1, 2), (2, 2)),
    ]


async def test_inserts(shop: ApiBench) -> None:
    await shop.write(
        "POST", "/customers?select=id", [{"id": 7, "n": "1.10", "at": None}, {"id": 8, "n": None, "at": "2026-01-01"}]
    )
    write = await shop.last()
    assert [(verb, b) for _, verb, b, _ in write.changes] == [("insert", None)] * 2
    assert [after and (after["n"], after["at"]) for _, after in write.exact] == [
        ("1.1000000000", None),
        (None, "2026-01-01 00:00:00+00"),
    ]


async def test_an_upsert_distinguishes_inserts_from_updates(shop: ApiBench) -> None:
    rows = [{"id": 1, "name": "merged"}, {"id": 7, "name": "new"}, {"id": 3, "name": "cid"}]
    await shop.write("POST", "/customers", rows, prefer=MERGE)
    assert [(verb, b and b["name"], a and a["name"]) for _, verb, b, a in (await shop.last()).changes] == [
        ("update", "ann", "merged"),
        ("insert", None, "new"),
    ]
    await shop.write("PUT", "/customers?id=eq.7", {"id": 7, "name": "put"})
    assert [(verb, b and b["name"], a and a["name"]) for _, verb, b, a in (await shop.last()).changes] == [
        ("update", "new", "put")
    ]
    await shop.write("POST", "/customers", [{"id": 1}, {"id": 9}], prefer="resolution=ignore-duplicates")
    assert [(verb, b, a and a["id"]) for _, verb, b, a in (await shop.last()).changes] == [("insert", None, 9)]


async def test_a_row_that_another_client_inserts_first(shop: ApiBench) -> None:
    """Its row before is unknown: it is counted, and no insert is made up."""
    shop.upstream.before_write = "INSERT INTO customers (id, name) VALUES (7, 'theirs')"
    await shop.write("POST", "/customers", [{"id": 7, "name": "ours"}, {"id": 8, "name": "x"}], prefer=MERGE)
    write = await shop.last()
    assert [(verb, a and a["id"]) for _, verb, _, a in write.changes] == [("insert", 8)]
    assert write.unseen == [{"schema": "public", "table": "customers", "inserted": 0, "updated": 1, "deleted": 0}]


async def test_a_row_that_another_client_deletes_first(shop: ApiBench) -> None:
    shop.upstream.before_write = "DELETE FROM customers WHERE id = 3"
    await shop.write("POST", "/customers", {"id": 3, "name": "ours"}, prefer=MERGE)
    assert [(verb, b) for _, verb, b, _ in (await shop.last()).changes] == [("insert", None)]


async def test_an_upsert_leaves_others_edits_to_them(shop: ApiBench) -> None:
    shop.upstream.before_write = "UPDATE customers SET tags = '{theirs}' WHERE id = 1"
    await shop.write("POST", "/customers", {"id": 1, "name": "ours"}, prefer=MERGE)
    ((before, after),) = (await shop.last()).exact
    assert before
    assert after
    assert (before["name"], before["tags"]) == ("ann", "{theirs}")
    assert (after["name"], after["tags"]) == ("ours", "{theirs}")


@pytest.mark.parametrize("singular", [True, False])
async def test_an_update_meets_another(shop: ApiBench, singular: bool) -> None:
    """The row is read again: its image before is exactly what the other client left."""
    shop.upstream.before_write = "UPDATE customers SET name = 'theirs', n = 5 WHERE id = 1"
    headers = {"accept": "application/vnd.pgrst.object+json"} if singular else {}
    answer = await shop.write("PATCH", "/customers?id=eq.1&select=name,n", {"name": "ours"}, headers=headers)
    expected = {"name": "ours", "n": 5.0}
    assert body_of(answer) == (expected if singular else [expected])
    ((before, after),) = (await shop.last()).exact
    assert before
    assert after
    assert (before["name"], after["name"]) == ("theirs", "ours")
    assert (before["n"], after["n"]) == ("5.0000000000", "5.0000000000")


async def test_an_update_of_many_meets_another(shop: ApiBench) -> None:
    shop.upstream.before_write = "UPDATE customers SET name = 'theirs' WHERE id = 2"
    answer = await shop.write(
        "PATCH", "/customers?id=gt.0&select=id", {"n": 1}, prefer="return=representation,count=exact"
    )
    assert sorted(row["id"] for row in body_of(answer)) == [1, 2, 3]
    assert ("Content-Range", "0-2/3") in answer.response.headers
    writes = await shop.list_writes()
    assert [[b["id"] for _, _, b, _ in one.changes if b] for one in writes] == [[1, 3], [2]]
    assert writes[1].changes[0][2] == {**(writes[1].changes[0][3] or {}), "n": None}


async def test_an_update_meets_a_row_that_no_longer_fits(shop: ApiBench) -> None:
    shop.upstream.before_write = "UPDATE customers SET name = 'theirs' WHERE id = 2"
    answer = await shop.write("PATCH", "/customers?name=in.(ann,bob)&select=id", {"n": 1})
    assert [row["id"] for row in body_of(answer)] == [1]


async def test_what_a_trigger_keeps_is_left_alone(shop: ApiBench) -> None:
    await shop.run("""
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER keep BEFORE UPDATE ON customers FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION keep()
    """)
    answer = await shop.write("PATCH", "/customers?id=gt.0&select=id", {"n": 1})
    assert sorted(row["id"] for row in body_of(answer)) == [1, 3]
    assert len(await shop.list_writes()) == 1


async def test_a_trigger_that_hides_instead_of_deleting(shop: ApiBench) -> None:
    await shop.run("""
        CREATE FUNCTION hide() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN UPDATE customers SET name = 'hidden' WHERE id = OLD.id; RETURN NULL; END $$;
        CREATE TRIGGER hide BEFORE DELETE ON customers FOR EACH ROW EXECUTE FUNCTION hide()
    """)
    answer = await shop.write("DELETE", "/customers?id=eq.3")
    assert body_of(answer) == []
    write = await shop.last()
    assert (write.changes, write.unseen) == (
        [],
        [{"schema": "public", "table": "customers", "inserted": 0, "updated": 1, "deleted": 0}],
    )


async def test_triggers_in_the_row_are_seen(shop: ApiBench) -> None:
    await shop.run("""
        CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN NEW.tags := ARRAY[upper(NEW.name)]; RETURN NEW; END $$;
        CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION shout()
    """)
    await shop.write("PATCH", "/customers?id=eq.2", {"name": "loud"})
    ((_, after),) = (await shop.last()).exact
    assert after
    assert after["tags"] == "{LOUD}"
    assert await shop.journal.rows(
        f"SELECT set_columns FROM journal_mutations WHERE session_id = '{await shop.session_id()}'"
    ) == [{"set_columns": ["name"]}]


async def test_tables_without_a_key(open_project: OpenProject) -> None:
    bench = await open_project("""
        CREATE TABLE loose (a int, b text); INSERT INTO loose VALUES (1, 'x'), (1, 'x'), (2, 'y');
        CREATE TABLE parted (a int, b text) PARTITION BY LIST (a);
        CREATE TABLE one PARTITION OF parted FOR VALUES IN (1); CREATE TABLE two PARTITION OF parted FOR VALUES IN (2);
        INSERT INTO parted VALUES (1, 'x'), (2, 'x')
    """)
    await bench.write("PATCH", "/loose?a=eq.1", {"b": "z"})
    changed = ("loose", "update", {"a": 1, "b": "x"}, {"a": 1, "b": "z"})
    assert (await bench.last()).changes == [changed, changed]
    await bench.write("DELETE", "/loose?b=eq.y")
    assert (await bench.last()).changes == [("loose", "delete", {"a": 2, "b": "y"}, None)]
    await bench.write("PATCH", "/parted?a=eq.2", {"b": "z"})
    assert await bench.rows("SELECT * FROM parted ORDER BY a") == [{"a": 1, "b": "x"}, {"a": 2, "b": "z"}]


async def test_a_partitioned_table(open_project: OpenProject) -> None:
    """It tells no xmax: what was there before the look was an update."""
    bench = await open_project("""
        CREATE TABLE t (id int, k int, x text, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
        CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10);
        CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);
        INSERT INTO t VALUES (1, 1, 'a'), (2, 12, 'b')
    """)
    await bench.write("POST", "/t", [{"id": 1, "k": 1, "x": "m"}, {"id": 3, "k": 13, "x": "n"}], prefer=MERGE)
    assert [(verb, b and b["x"]) for _, verb, b, _ in (await bench.last()).changes] == [
        ("update", "a"),
        ("insert", None),
    ]
    await bench.write("PATCH", "/t?id=eq.2", {"k": 3})  # into the other partition
    assert [(verb, b and b["k"], a and a["k"]) for _, verb, b, a in (await bench.last()).changes] == [("update", 12, 3)]
    await bench.write("DELETE", "/t?id=gt.0")
    assert len((await bench.last()).changes) == 3


VALUES = [
    "",
    " ",
    "a,b",
    'q"uote',
    "back\\slash",
    "(x)",
    "{a}",
    "%41",
    "a+b",
    "é\u2028ü",
    "null",
    "*",
    "a.b",
    "a:b",
    "line\nbreak",
]


async def test_keys_of_every_kind(open_project: OpenProject) -> None:
    bench = await open_project('CREATE TABLE t ("a key" text, "or" text, x int, PRIMARY KEY ("a key", "or"))')
    for value in VALUES:
        await bench.admin.execute("INSERT INTO t VALUES (%s, %s, 0)", (value, value))
    await bench.write("PATCH", "/t?x=eq.0", {"x": 1})
    write = await bench.last()
    assert sorted((b["a key"], b["x"], a["x"]) for _, _, b, a in write.changes if b and a) == sorted(
        (value, 0, 1) for value in VALUES
    )
    rows = [{"a key": value, "or": value, "x": 2} for value in VALUES]
    await bench.write("POST", "/t", rows, prefer=MERGE)
    assert [verb for _, verb, _, _ in (await bench.last()).changes] == ["update"] * len(VALUES)
    await bench.write("DELETE", "/t?x=eq.2")
    assert len((await bench.last()).changes) == len(VALUES)


async def test_more_keys_than_a_query_holds(open_project: OpenProject) -> None:
    """The rows' versions alone say which; a delete leaves it to the filter, and to the number of rows."""
    bench = await open_project("""
        CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), x int);
        INSERT INTO t (x) SELECT n FROM generate_series(1, 600) n
    """)
    await bench.write("PATCH", "/t?x=gt.0", {"x": 0}, prefer="return=minimal")
    assert len((await bench.last()).changes) == 600
    assert max(len(asked.query) for asked in bench.upstream.asked) < 7000
    bench.upstream.before_write = "INSERT INTO t (x) VALUES (0)"
    answer = await bench.write("DELETE", "/t?x=eq.0", prefer="return=minimal")
    assert (answer.response.status, body_of(answer)["code"]) == (400, "PGRST124")
    assert await bench.rows("SELECT count(*) AS n FROM t") == [{"n": 601}]
    await bench.write("DELETE", "/t?x=eq.0", prefer="return=minimal")
    assert len((await bench.last()).changes) == 601


async def test_more_versions_than_a_query_holds_are_refused(open_project: OpenProject) -> None:
    bench = await open_project("CREATE TABLE t (id int PRIMARY KEY, x text)")
    for number in range(900):
        await bench.admin.execute("INSERT INTO t VALUES (%s, 'a')", (number,))
    name = "x" * (LONGEST_QUERY - 1000)
    with pytest.raises(RowLimit, match="cannot name so many rows"):
        await bench.write("PATCH", f"/t?x=neq.{name}", {"x": "b"})
    assert await bench.rows("SELECT DISTINCT x FROM t") == [{"x": "a"}]


# Refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "options", "message"),
    [
        ("PATCH", "/seen?id=eq.1", {}, "is not a table"),
        ("POST", "/seen", {}, "is not a table"),
        ("DELETE", "/seen?id=eq.1", {}, "is not a table"),
        ("PATCH", "/hidden?id=eq.1", {}, "has no table hidden"),
        ("PATCH", "/customers?id=eq.1&select=count()", {}, "aggregates"),
        ("PATCH", "/customers?id=eq.1&select=id,orders!inner(id)", {}, "inner join"),
        ("PATCH", "/customers?id=eq.1", {"prefer": "return=minimal,timezone=Asia/Tokyo"}, "time zone"),
        ("PATCH", "/customers?id=eq.1", {"headers": {"accept": "application/vnd.pgrst.plan"}}, "plan of a write"),
        ("PATCH", "/customers?select=id,orders(id)&id=eq.1", {"headers": {"accept": "text/csv"}}, "CSV"),
    ],
)
async def test_what_cannot_be_recorded_is_not_done(
    shop: ApiBench, method: str, path: str, options: dict[str, Any], message: str
) -> None:
    body = None if method == "DELETE" else {"id": 1, "name": "x"}
    with pytest.raises(NotCaptured, match=message):
        await shop.write(method, path, body, **options)
    assert await shop.rows("SELECT name FROM customers WHERE id = 1") == [{"name": "ann"}]
    assert await shop.list_writes() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/customers?id=eq.1&wipe=eq.x"),
        ("PATCH", "/customers?id=eq.1&select=id,wipe"),
        ("PATCH", "/customers?id=eq.1&select=id,orders(wipe)"),
        ("DELETE", "/customers?or=(id.eq.1,wipe.eq.x)"),
    ],
)
async def test_a_name_that_is_no_column_may_be_a_function_and_has_no_place_in_a_write(
    shop: ApiBench, method: str, path: str
) -> None:
    with pytest.raises(PgrestError, match="wipe does not exist"):
        await shop.write(method, path, None if method == "DELETE" else {"name": "x"})
    assert shop.upstream.asked == []


@pytest.mark.parametrize(
    "query",
    [
        "select=id,orders!a_name(wipe)",
        "select=wipe,orders!a_name(id)",
        "select=id,orders!a_name(id,lines!another(wipe))",
        "select=id,orders!a_name(id)&wipe=eq.x",
        "select=id,orders!a_name(id)&orders.wipe=eq.x",
        "select=id,orders!a_name(id)&or=(wipe.eq.x,id.eq.1)",
        "select=id,orders!a_name(id)&order=wipe",
    ],
)
async def test_a_relationship_that_the_project_does_not_name_brings_no_functions(shop: ApiBench, query: str) -> None:
    with pytest.raises(PgrestError, match=r"relationship|wipe does not exist"):
        await shop.write("PATCH", f"/customers?id=eq.1&{query}", {"name": "x"})
    assert shop.upstream.asked == []


async def test_without_a_schema_nothing_is_written(shop: ApiBench) -> None:
    with pytest.raises(NotCaptured, match="may not list the project's tables"):
        await shop.write("POST", "/customers", {"id": 9}, blind=True)


@pytest.mark.parametrize("path", ["/customers?id=eq.1", "/rpc/tidy"])
async def test_a_rollback_is_not_trusted(shop: ApiBench, path: str) -> None:
    method = "POST" if "rpc" in path else "PATCH"
    with pytest.raises(RollbackUnsupported):
        await shop.write(method, path, {"name": "x"} if method == "PATCH" else {}, prefer="return=minimal, tx=rollback")
    assert shop.upstream.asked == []


async def test_a_project_that_rolls_back_by_default_is_asked_to_commit(open_project: OpenProject) -> None:
    bench = await open_project(SHOP, PGRST_DB_TX_END="rollback-allow-override")
    await bench.write("PATCH", "/customers?id=eq.1", {"name": "x"})
    await bench.write("POST", "/rpc/tidy", {}, prefer="")
    assert await bench.rows("SELECT name FROM customers WHERE id = 1") == [{"name": "x"}]
    assert await bench.rows("SELECT x FROM notes WHERE id = 20") == [{"x": "X"}]


async def test_limits_hold_before_anything_is_changed(shop: ApiBench) -> None:
    standing = await shop.texts("customers", "orders")
    for method, path, body in (
        ("PATCH", "/customers?id=gt.0", {"n": 1}),
        ("DELETE", "/customers?id=eq.1", None),  # its orders and notes go along
        ("POST", "/customers", [{"id": 7}, {"id": 8}, {"id": 9}]),
    ):
        with pytest.raises(RowLimit) as refused:
            await shop.write(method, path, body, max_rows=2)
        assert refused.value.details == {"limit": 2}
    with pytest.raises(PgrestError, match="max-affected"):
        await shop.write("PATCH", "/customers?id=gt.0", {"n": 1}, prefer="handling=strict,max-affected=2")
    assert await shop.texts("customers", "orders") == standing
    assert await shop.list_writes() == []


async def test_a_project_that_shows_few_rows_at_a_time(open_project: OpenProject) -> None:
    bench = await open_project(SHOP, PGRST_DB_MAX_ROWS="2")
    with pytest.raises(RowLimit, match="only 2 rows at a time"):
        await bench.write("PATCH", "/customers?id=gt.0", {"n": 1})
    await bench.write("POST", "/customers", [{"id": number, "n": 4} for number in range(1, 9)], prefer=MERGE)
    assert sorted(verb for _, verb, _, _ in (await bench.last()).changes) == ["insert"] * 5 + ["update"] * 3


async def test_people_have_a_limit_too_where_rows_must_be_read(open_project: OpenProject) -> None:
    bench = await open_project("CREATE TABLE t (id int PRIMARY KEY, x int)")
    await bench.write("POST", "/t", [{"id": number, "x": 0} for number in range(1001)], prefer="return=minimal")
    assert len((await bench.last()).changes) == 1001
    with pytest.raises(RowLimit, match="through the project's API"):
        await bench.write("DELETE", "/t?x=eq.0")
    assert await bench.rows("SELECT count(*) AS n FROM t") == [{"n": 1001}]


async def test_a_time_zone_where_no_column_depends_on_it(open_project: OpenProject) -> None:
    """What hangs on the row is read in the project's own zone all the same."""
    bench = await open_project("""
        CREATE TABLE p (id int PRIMARY KEY, x text);
        CREATE TABLE c (id int PRIMARY KEY, p_id int REFERENCES p ON DELETE CASCADE, at timestamptz);
        INSERT INTO p VALUES (1, 'a'); INSERT INTO c VALUES (2, 1, '2026-01-01 00:00:00+00')
    """)
    answer = await bench.write("DELETE", "/p?id=eq.1", prefer="return=minimal,timezone=Asia/Tokyo")
    assert ("Preference-Applied", "return=minimal, timezone=Asia/Tokyo") in answer.response.headers
    assert [before and before.get("at") for before, _ in (await bench.last()).exact] == [
        None,
        "2026-01-01 00:00:00+00",
    ]


async def test_the_sessions_limit_of_writes(shop: ApiBench) -> None:
    await shop.write("PATCH", "/customers?id=eq.1", {"n": 1}, max_writes=1)
    with pytest.raises(SessionFrozen):
        await shop.write("PATCH", "/customers?id=eq.1", {"n": 2}, max_writes=1)
    assert await shop.rows("SELECT n::int FROM customers WHERE id = 1") == [{"n": 1}]


async def test_a_column_that_the_snapshot_does_not_know(shop: ApiBench) -> None:
    schema = await shop.schema()
    await shop.run("ALTER TABLE customers ADD fresh text; NOTIFY pgrst, 'reload schema'")
    for method, path, body in (
        ("PATCH", "/customers?id=eq.1", {"name": "x"}),
        ("DELETE", "/customers?id=eq.1", None),
        ("POST", "/customers", {"id": 1, "name": "x"}),
    ):
        with pytest.raises(SnapshotStale):
            await shop.write(method, path, body, schema=schema, prefer=MERGE)
    assert await shop.rows("SELECT name FROM customers WHERE id = 1") == [{"name": "ann"}]


async def test_a_function(shop: ApiBench) -> None:
    answer = await shop.write("POST", "/rpc/tidy", {}, prefer="")
    assert answer.response.status == 204
    write = await shop.last()
    assert (write.state, write.verb, write.changes) == ("committed", "call", [])
    assert await shop.rows("SELECT x FROM notes WHERE id = 20") == [{"x": "X"}]


async def test_the_session_says_how_it_was_recorded(shop: ApiBench) -> None:
    answer = await shop.write("PATCH", "/customers?id=eq.1", {"n": 1})
    assert answer.session_id is not None
    session = await shop.session(answer.session_id)
    assert (session["capture"], session["write_count"], session["kind"]) == ("representation", 1, "agent")


async def test_a_server_that_knows_no_limit_of_affected_rows(shop: ApiBench) -> None:
    """PostgREST 12.0 and 12.1: strict about what it does not know."""
    refusal = {"code": "PGRST122", "details": "Invalid preferences: max-affected=2", "hint": None, "message": "Invalid"}
    async with open_faulty_proxy(shop.port) as proxy, reach_project(proxy.port) as project:
        proxy.refuse = lambda request: make_answer(400, refusal) if b"max-affected" in request else None
        proxied = replace(shop, upstream=WatchedUpstream(project.upstream, shop.admin))
        answer = await proxied.write("PATCH", "/customers?id=lt.3", {"n": 1}, prefer="return=minimal")
    assert answer.response.status == 204
    assert [one.state for one in await shop.list_writes()] == ["aborted", "committed"]
