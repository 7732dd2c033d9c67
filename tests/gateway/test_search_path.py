"""Functions that a role creates in an exposed schema are not called in place of PostgreSQL's own."""

import pytest

from tests.fixtures.bench import GUEST, Bench, Workshop

# A login that may create in `public`, as every role could before PostgreSQL 15, and owns nothing else.
_HIJACKER = """
    CREATE FUNCTION {name}({arguments}) RETURNS {returns} LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO pwned VALUES (current_user); RETURN {value}; END$$;
"""
_HIJACKED = (
    ("row_to_json", "items", "json", "pg_catalog.to_json($1)"),
    ("to_json", "items", "json", "'{}'"),
    ("to_jsonb", "varchar", "jsonb", "'{}'"),
    ("to_tsvector", "varchar", "tsvector", "''"),
    ("to_tsvector", "text, varchar", "tsvector", "''"),
    ("row_to_json", "child", "json", "'{}'"),
    ("length", "varchar", "int", "1"),
    ("pg_xact_status", "text", "text", "'committed'"),
)
_OPERATORS = ("=", "<>", ">", "<", ">=", "<=", "~~", "~~*", "~", "~*", "||")
_TABLES = f"""
    CREATE TABLE pwned (who text);
    CREATE TABLE items (id int PRIMARY KEY, note varchar, code varchar UNIQUE NOT NULL, doc varchar DEFAULT '{{}}');
    CREATE TABLE child (id int PRIMARY KEY, code varchar REFERENCES items (code) ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE keyed (code varchar PRIMARY KEY, note text);
    INSERT INTO items SELECT n, 'hello ' || n, 'c' || n FROM generate_series(1, 9) n;
    INSERT INTO child SELECT n, 'c' || n FROM generate_series(1, 9) n;
    INSERT INTO keyed VALUES ('a', 'x'), ('b', 'y');
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN coalesce(new, old); END';
    CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION nothing();
    GRANT ALL ON items, child, keyed, pwned TO {GUEST};
    GRANT INSERT ON pwned TO PUBLIC;
"""


async def hijack(bench: Bench) -> None:
    await bench.run(
        "CREATE ROLE sec_dev" if not await bench.rows("SELECT FROM pg_roles WHERE rolname = 'sec_dev'") else "SELECT"
    )
    await bench.run("GRANT CREATE, USAGE ON SCHEMA public TO sec_dev")
    await bench.run("SET ROLE sec_dev")
    for name, arguments, returns, value in _HIJACKED:
        await bench.run(_HIJACKER.format(name=name, arguments=arguments, returns=returns, value=value))
    await bench.run(
        "CREATE FUNCTION same(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS "
        "$$BEGIN INSERT INTO pwned VALUES (current_user); RETURN true; END$$"
    )
    for name in _OPERATORS:
        await bench.run(f"CREATE OPERATOR public.{name} (FUNCTION = same, LEFTARG = varchar, RIGHTARG = varchar)")
    await bench.run("RESET ROLE")


@pytest.mark.parametrize("role", [None, GUEST])
async def test_functions_and_operators_of_anybody_are_not_taken_for_postgresqls_own(
    workshop: Workshop, role: str | None
) -> None:
    bench = await workshop.bench(_TABLES)
    await hijack(bench)
    agent = await bench.agent(**({"dbRole": role} if role else {}))
    for path in (
        "/items?note=eq.hello%201",
        "/items?note=neq.x&note=gt.a&note=lte.z&note=like.h*&note=ilike.H*&note=match.h&note=imatch.H",
        "/items?note=in.(a,b)&note=not.isdistinct.a",
        "/items?note=fts.hello",
        "/items?note=fts(english).hello",
        "/items?doc->>a=is.null",
        "/items?select=*,child(*)",
        "/items?select=id,child!inner(id)&order=note",
        "/child?select=id,items(*)",
        "/child?select=id,...items(note)",
    ):
        answer = await agent.http.get(path)
        assert answer.is_success, (path, answer.text)
    assert (await agent.http.get("/items", headers={"accept": "text/csv"})).is_success
    await agent.write("PATCH", "/items?note=eq.hello%203", {"note": "new"})
    await agent.write("PATCH", "/items?code=eq.c4", {"code": "c40"})
    await agent.write("PATCH", "/child?code=eq.c5", {"id": 50})
    await agent.write("DELETE", "/items?code=eq.c6")
    await agent.write("POST", "/items", {"id": 100, "code": "c100", "note": "x"})
    merged = await agent.write(
        "POST", "/keyed", [{"code": "a", "note": "z"}], prefer="return=representation,resolution=merge-duplicates"
    )
    assert merged.row_changes()[0][1] == "update"
    deleted = await agent.write("DELETE", "/keyed?code=eq.b")
    assert await bench.rows("SELECT * FROM pwned") == []
    for session in {merged.session_id, deleted.session_id}:
        undone = await bench.person.post(
            f"/api/connections/{bench.connection_id}/sessions/{session}/undo", json={"mode": "apply"}
        )
        assert undone.status_code == 200, undone.text
    assert await bench.rows("SELECT * FROM pwned") == []
    assert await bench.rows("SELECT * FROM keyed ORDER BY code") == [
        {"code": "a", "note": "x"},
        {"code": "b", "note": "y"},
    ]


async def test_a_type_with_operators_of_its_own_keeps_them(workshop: Workshop) -> None:
    bench = await workshop.bench("SELECT")
    await bench.run("CREATE SCHEMA extensions")
    await bench.run("CREATE EXTENSION citext SCHEMA extensions")
    await bench.run("CREATE EXTENSION ltree SCHEMA extensions")
    await bench.run("GRANT USAGE ON SCHEMA extensions TO bench_owner")
    await bench.run("CREATE TABLE people (email extensions.citext PRIMARY KEY, path extensions.ltree, age int)")
    await bench.run("ALTER TABLE people OWNER TO bench_owner")
    await bench.run("INSERT INTO people VALUES ('Ann@X.org', 'a.b', 1), ('bob@x.org', 'a.c', 2)")
    agent = await bench.agent()
    assert len((await agent.http.get("/people?email=eq.ann@x.ORG")).json()) == 1
    assert len((await agent.http.get("/people?email=like.ann*")).json()) == 1
    assert len((await agent.http.get("/people?path=cd.a")).json()) == 2
    assert len((await agent.http.get("/people?path=eq.a.b")).json()) == 1
    written = await agent.write("PATCH", "/people?email=eq.ANN@x.org", {"age": 5})
    assert written.row_changes() == [
        (
            "people",
            "update",
            {"email": "Ann@X.org", "path": "a.b", "age": 1},
            {"email": "Ann@X.org", "path": "a.b", "age": 5},
        )
    ]
    merged = await agent.write(
        "POST",
        "/people",
        [{"email": "BOB@x.org", "path": "a.d", "age": 3}],
        prefer="return=representation,resolution=merge-duplicates",
    )
    assert merged.row_changes()[0][1] == "update"
