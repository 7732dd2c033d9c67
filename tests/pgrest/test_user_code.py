"""Which reads may run code that is not PostgreSQL's own, so that what they leave must be taken back."""

import psycopg

from pgrest import (
    DbConnection,
    ReadPlan,
    RestConfig,
    Schema,
    load_schema,
    may_run_code,
    parse_request,
    plan_request,
)
from tests.fixtures.postgres import PostgresServer

CONFIG = RestConfig(schemas=("public",))
BYPASSES, IS_SUBJECT = "postgres", "pg_monitor"
DDL = """
    CREATE FUNCTION mine() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
    CREATE FUNCTION positive(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
    CREATE DOMAIN checked AS int CHECK (positive(VALUE));
    CREATE TYPE pair AS (a int, b int);
    CREATE TABLE plain (id int PRIMARY KEY, name text, place point);
    CREATE TABLE guarded (id int PRIMARY KEY, plain_id int REFERENCES plain);
    ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON guarded USING (id = mine());
    CREATE TABLE kept (id int PRIMARY KEY);
    ALTER TABLE kept ENABLE ROW LEVEL SECURITY;
    CREATE POLICY all_of_it ON kept USING (id > 0);
    CREATE TABLE behind (id int PRIMARY KEY);
    ALTER TABLE behind ENABLE ROW LEVEL SECURITY;
    CREATE POLICY seen_by ON behind USING (EXISTS (SELECT FROM guarded));
    CREATE TABLE typed (id int PRIMARY KEY, n checked);
    CREATE VIEW seen AS SELECT * FROM plain;
    CREATE MATERIALIZED VIEW stored AS SELECT * FROM plain;
    CREATE FUNCTION shout(plain) RETURNS text LANGUAGE sql STABLE AS 'SELECT upper($1.name)';
    CREATE FUNCTION others(plain) RETURNS SETOF kept LANGUAGE sql STABLE AS 'SELECT * FROM kept';
"""
RUNS_NONE = ["/plain", "/plain?name=like.A*&order=id.desc", "/plain?select=id::text", "/kept"]
RUNS_SOME = [
    "/typed",
    "/seen",
    "/stored",
    "/plain?select=id,shout",
    "/plain?shout=eq.A",
    "/plain?order=shout",
    "/plain?select=id,others(id)",
    "/plain?select=name::pair",
]
RUNS_POLICIES = ["/guarded", "/plain?select=id,guarded(id)", "/behind"]


def runs_code(schema: Schema, target: str, role: str | None) -> bool:
    path, _, query = target.partition("?")
    request = parse_request("GET", path, query.encode(), [], b"", config=CONFIG)
    plan = plan_request(schema, request, CONFIG)
    assert isinstance(plan, ReadPlan)
    return may_run_code(schema, plan, role)


async def test_reads_that_reach_a_function_of_the_projects_own_are_known(postgres: PostgresServer) -> None:
    dsn = await postgres.create_database()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin:
        await admin.execute(DDL.encode())
    connection = await DbConnection.connect(dsn)
    schema = await load_schema(connection, ["public"])
    for role in (None, IS_SUBJECT, BYPASSES):
        assert [one for one in RUNS_NONE if runs_code(schema, one, role)] == [], role
        assert [one for one in RUNS_SOME if not runs_code(schema, one, role)] == [], role
        expected = [] if role == BYPASSES else RUNS_POLICIES
        assert [one for one in RUNS_POLICIES if runs_code(schema, one, role)] == expected, role
    await connection.close()
    await postgres.drop_database(dsn)
