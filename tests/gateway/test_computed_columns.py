"""A name that is no column may mean a function of the row: only one that the catalog and the policy know."""

from typing import Any

import pytest

from tests.fixtures.app import read_refusal
from tests.fixtures.bench import GUEST, Bench, Workshop

_ORDERS = f"""
    CREATE TABLE vault_keys (id int PRIMARY KEY, secret text);
    CREATE TABLE orders (id int PRIMARY KEY, note text, vault_id int, doc json);
    CREATE TABLE audit (what text, who text);
    INSERT INTO vault_keys SELECT n, 'TOPSECRET-' || n FROM generate_series(1, 5) n;
    INSERT INTO orders SELECT n, 'n' || n, n, '{{}}' FROM generate_series(1, 5) n;
    CREATE FUNCTION vault_line(o orders) RETURNS text LANGUAGE sql STABLE AS
        'SELECT secret FROM vault_keys WHERE id = o.vault_id';
    CREATE FUNCTION shout(orders) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1.note)';
    CREATE FUNCTION words(orders) RETURNS tsvector LANGUAGE sql IMMUTABLE AS
        $$SELECT to_tsvector('english', $1.note || ' coffees')$$;
    CREATE FUNCTION wipe(orders) RETURNS text LANGUAGE plpgsql AS
        $$BEGIN DELETE FROM vault_keys WHERE id = $1.id; RETURN 'x'; END$$;
    CREATE FUNCTION wrapped(orders) RETURNS text LANGUAGE plpgsql STABLE AS
        $$DECLARE found text; BEGIN SELECT wipe($1) INTO found; RETURN found; END$$;
    CREATE FUNCTION anything(anyelement) RETURNS text LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO audit VALUES ('anything', current_user); RETURN 'x'; END$$;
    CREATE FUNCTION of_record(record) RETURNS text LANGUAGE plpgsql STABLE AS
        $$BEGIN RETURN (SELECT secret FROM vault_keys LIMIT 1); END$$;
    CREATE FUNCTION order_keys(orders) RETURNS SETOF orders LANGUAGE sql STABLE AS
        'SELECT o.id, k.secret, o.vault_id, o.doc FROM orders o JOIN vault_keys k ON k.id = o.vault_id';
    CREATE FUNCTION pairs() RETURNS TABLE (id int, pair text) LANGUAGE sql STABLE AS $$SELECT 1, 'a'$$;
    CREATE FUNCTION some_orders() RETURNS SETOF orders LANGUAGE sql STABLE AS 'SELECT * FROM orders';
    CREATE DOMAIN evil AS text CHECK (length(VALUE) > 0);
    GRANT ALL ON orders TO {GUEST};
"""
_ALLOWED = ["public.orders", "rpc/public.shout"]


async def secrets_left(bench: Bench) -> int:
    return int((await bench.rows("SELECT count(*) AS n FROM vault_keys"))[0]["n"])


async def test_an_agent_with_a_list_reads_no_computed_column_that_is_not_on_it(workshop: Workshop) -> None:
    bench = await workshop.bench(_ORDERS)
    agent = await bench.agent(tables=_ALLOWED)
    for query in (
        "select=id,vault_line",
        "select=id,x:vault_line",
        "select=id,vault_line::text",
        "select=id,vault_line->>0",
        "vault_line=like.TOP*",
        "vault_line=in.(TOPSECRET-1)",
        "or=(id.eq.1,and(id.eq.2,vault_line.like.TOP*))",
        "not.and=(vault_line.is.null,id.gt.0)",
        "order=vault_line",
    ):
        answer = await agent.http.get(f"/orders?{query}")
        assert read_refusal(answer) == (400, "42703"), (query, answer.text)
    assert (await agent.http.get("/orders?select=id,nope")).json()["message"] == "column orders.nope does not exist"
    assert read_refusal(await agent.http.get("/orders?select=id,order_keys(note)")) == (403, "table_denied")
    assert read_refusal(await agent.http.get("/orders?select=note::evil")) == (403, "table_denied")
    assert (await agent.http.get("/orders?id=eq.1&select=id,shout")).json() == [{"id": 1, "shout": "N1"}]
    assert (await agent.http.get("/orders?shout=eq.N2&select=id")).json() == [{"id": 2}]
    assert (await agent.http.get("/orders?order=shout.desc&select=id&limit=1")).json() == [{"id": 5}]


async def test_a_caller_without_a_list_has_computed_columns_as_in_postgrest(workshop: Workshop) -> None:
    bench = await workshop.bench(_ORDERS)
    agent = await bench.agent()
    assert (await agent.http.get("/orders?id=eq.1&select=id,vault_line")).json() == [
        {"id": 1, "vault_line": "TOPSECRET-1"}
    ]
    answer = await agent.http.get("/rpc/some_orders?select=id,shout&id=eq.3")
    assert answer.json() == [{"id": 3, "shout": "N3"}]
    written = await agent.write("PATCH", "/orders?id=eq.1&shout=eq.N1&select=id,shout", {"note": "new"})
    assert written.answer.json() == [{"id": 1, "shout": "NEW"}]
    assert written.row_changes()[0][1] == "update"


@pytest.mark.parametrize("name", ["anything", "of_record", "row_to_json", "nope"])
async def test_a_name_that_is_neither_column_nor_computed_column_is_unknown(workshop: Workshop, name: str) -> None:
    """Functions of any row or any value would be found by PostgreSQL under the notation of a column."""
    bench = await workshop.bench(_ORDERS)
    agent = await bench.agent()
    for path in (
        f"/orders?select=id,{name}",
        f"/orders?{name}=eq.x",
        f"/orders?order={name}",
        f"/rpc/some_orders?select=id,{name}",
        f"/rpc/some_orders?order={name}",
        f"/rpc/pairs?select=id,{name}",
        f"/rpc/pairs?select=id&order={name}",
        f"/rpc/pairs?{name}=eq.x",
    ):
        answer = await agent.http.get(path)
        assert answer.status_code in (400, 404), (path, answer.text)
        assert "TOPSECRET" not in answer.text
    written = await agent.http.patch(f"/orders?id=eq.1&{name}=eq.x", json={"note": "z"})
    assert read_refusal(written) == (400, "42703")
    shown = await agent.http.post(
        f"/orders?select=id&order={name}", json={"id": 9}, headers={"prefer": "return=representation"}
    )
    assert read_refusal(shown) == (400, "42703")
    assert await bench.rows("SELECT * FROM audit") == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/orders?id=eq.1&wipe=eq.x", {"note": "z"}),
        ("PATCH", "/orders?id=eq.1&select=id,wipe", {"note": "z"}),
        ("DELETE", "/orders?or=(wipe.eq.x,id.eq.0)", None),
        ("POST", "/orders?select=id,wipe", {"id": 9}),
    ],
)
async def test_a_volatile_function_has_no_place_in_a_write(
    workshop: Workshop, method: str, path: str, body: Any
) -> None:
    bench = await workshop.bench(_ORDERS)
    agent = await bench.agent()
    answer = await agent.http.request(method, path, json=body, headers={"prefer": "return=representation"})
    assert read_refusal(answer) == (403, "capture_unsupported")
    assert await secrets_left(bench) == 5


async def test_what_a_stable_wrapper_does_within_a_write_is_counted_and_limited(workshop: Workshop) -> None:
    bench = await workshop.bench(_ORDERS)
    agent = await bench.agent()
    written = await agent.write("PATCH", "/orders?id=eq.1&wrapped=eq.x", {"note": "z"}, prefer="return=minimal")
    assert [one["table"] for one in written.unseen] == ["vault_keys"]
    limited = await bench.agent(maxRowsPerWrite=1)
    before = await secrets_left(bench)
    answer = await limited.http.patch("/orders?id=eq.2&wrapped=eq.x", json={"note": "z"})
    assert answer.json()["code"] == "row_limit"
    assert await secrets_left(bench) == before


async def test_full_text_search_of_a_computed_search_vector(workshop: Workshop) -> None:
    bench = await workshop.bench(_ORDERS)
    agent = await bench.agent()
    answer = await agent.http.get("/orders?words=fts(english).coffee&select=id&limit=1")
    assert answer.json() == [{"id": 1}]


async def test_a_filter_is_evaluated_as_the_callers_role_alone(workshop: Workshop) -> None:
    """The triggers make the write take the long way, on which the login's role locks and reads the rows."""
    bench = await workshop.bench(
        f"""
        CREATE TABLE trig (id int PRIMARY KEY, name text);
        CREATE TABLE secrets (value text);
        INSERT INTO trig SELECT n, 'x' FROM generate_series(1, 200) n;
        INSERT INTO secrets VALUES ('TOPSECRET-7');
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
        CREATE TRIGGER t AFTER UPDATE ON trig FOR EACH ROW EXECUTE FUNCTION nothing();
        CREATE FUNCTION whoami(trig) RETURNS text LANGUAGE sql STABLE AS 'SELECT current_user::text';
        CREATE FUNCTION peekt(trig) RETURNS text LANGUAGE sql STABLE AS 'SELECT value FROM secrets';
        GRANT SELECT, UPDATE ON trig TO {GUEST};
        """
    )
    agent = await bench.agent(dbRole=GUEST, maxRowsPerWrite=5)
    for role, expected in ((GUEST, [7]), ("bench_owner", [])):
        answer = await agent.http.patch(
            f"/trig?id=eq.7&whoami=eq.{role}&select=id",
            json={"name": "z"},
            headers={"prefer": "return=representation"},
        )
        assert [row["id"] for row in answer.json()] == expected
    wanted = ",".join(str(n) for n in range(100, 110))
    for guess in ("TOP*", "nothing*"):
        answer = await agent.http.patch(
            f"/trig?or=(id.in.(1,2),and(id.in.({wanted}),peekt.like.{guess}))",
            json={"name": "z"},
            headers={"prefer": "tx=rollback"},
        )
        assert read_refusal(answer) == (403, "42501"), answer.text
