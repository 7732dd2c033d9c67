"""Who may read a table's rows and who may write its columns, by rights and policies."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from pgrest import AudienceFacts, DbConnection, Rows, Statement, load_audience_facts

Connection = psycopg.AsyncConnection[TupleRow]
_ROLES = """
    DO $$ DECLARE one text; BEGIN
      FOREACH one IN ARRAY ARRAY['anon', 'authenticated', 'audience_group'] LOOP
        BEGIN EXECUTE format('CREATE ROLE %I', one); EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
      END LOOP;
    END $$;
    GRANT audience_group TO anon;
    CREATE SCHEMA auth; CREATE SCHEMA closed;
    CREATE FUNCTION auth.uid() RETURNS text LANGUAGE sql AS $$SELECT 'a'$$;
    CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql AS $$SELECT 'a'$$;
    CREATE TABLE posts (id int, body text, owner text);
    CREATE TABLE closed.posts (id int, body text);
    GRANT USAGE ON SCHEMA public TO anon, authenticated;
"""
NAME = ("public", "posts")
_WITH_POLICIES = "GRANT ALL ON posts TO anon; ALTER TABLE posts ENABLE ROW LEVEL SECURITY; "


async def load(conn: DbConnection, shop: str, script: str) -> AudienceFacts:
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as admin:
        await admin.execute((_ROLES + script).encode())
    return await load_audience_facts(conn)


@pytest.mark.parametrize(
    ("script", "reads", "writes"),
    [
        ("", False, set()),
        ("GRANT SELECT (body), UPDATE (body) ON posts TO anon", True, {"body"}),
        ("GRANT ALL ON posts TO audience_group", True, {"id", "body", "owner"}),
        ("GRANT ALL ON posts TO anon; REVOKE USAGE ON SCHEMA public FROM anon, PUBLIC", False, set()),
        (_WITH_POLICIES, False, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts TO audience_group USING (id > 0)", True, {"id", "body", "owner"}),
        (_WITH_POLICIES + "CREATE POLICY p ON posts TO authenticated USING (true)", False, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts FOR SELECT USING (true)", True, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts FOR DELETE USING (true)", False, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts FOR INSERT WITH CHECK (id > 0)", False, {"id", "body", "owner"}),
        (_WITH_POLICIES + "CREATE POLICY p ON posts FOR INSERT WITH CHECK (false)", False, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts FOR UPDATE USING (auth.uid() = owner) WITH CHECK (true)", False, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts FOR UPDATE USING (true) WITH CHECK (auth.uid() = owner)", False, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts USING (true); CREATE POLICY q ON posts AS RESTRICTIVE USING (false)",
         False, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts USING (true);"
         "CREATE POLICY q ON posts AS RESTRICTIVE USING ((SELECT auth.uid()) = owner)", False, set()),
        (_WITH_POLICIES + "CREATE POLICY p ON posts USING (true);"
         "CREATE POLICY q ON posts AS RESTRICTIVE FOR UPDATE TO authenticated USING (false)", True, {"id", "body", "owner"}),
    ],
)  # fmt: skip
async def test_rights_and_policies(
    conn: DbConnection, shop: str, script: str, *, reads: bool, writes: set[str]
) -> None:
    facts = await load(conn, shop, script)
    readers = facts.tables.get(NAME)
    assert (readers is not None and "anon" in readers.roles) is reads
    assert facts.written.get(NAME, frozenset()) == writes


@pytest.mark.parametrize(
    ("condition", "is_open"),
    [
        ("true", True),
        ("id > 0", True),
        ("auth.uid() = owner", False),
        ("(SELECT auth.uid()) = owner", False),
        ("auth.uid() IS NOT NULL", False),
        ("auth.uid() IS NOT NULL AND NOT owner = 'a'", True),  # looks like NOT auth.uid() = owner
        ("auth.uid() IS NULL", True),
        ("auth.uid() = owner OR id = 1", True),
        ("auth.uid() IS DISTINCT FROM owner", True),
        ("NOT EXISTS (SELECT FROM closed.posts WHERE body = auth.uid())", True),
        ("coalesce(auth.uid(), owner) = owner", True),
        ("CASE WHEN auth.uid() = owner THEN true ELSE true END", True),
        ("auth.role() = 'authenticated'", False),
        ("auth.role() = 'anon'", True),
        ("auth.role() IN ('anon', 'authenticated')", True),
        ("auth.role() <> 'service_role'", True),
        ("owner <> auth.uid()", False),
        ("current_setting('request.jwt.claims')::json ->> 'sub' = owner", False),
        ("(current_setting('request.jwt.claims')::json ->> 'role') = 'anon'", True),
    ],
)
async def test_conditions_that_ask_who_is_signed_in(
    conn: DbConnection, shop: str, condition: str, *, is_open: bool
) -> None:
    facts = await load(conn, shop, f"{_WITH_POLICIES} CREATE POLICY p ON posts USING ({condition})")
    assert (NAME in facts.tables, NAME in facts.written) == (is_open, is_open)


async def test_views_and_computed_columns(conn: DbConnection, shop: str) -> None:
    facts = await load(
        conn, shop,
        "CREATE VIEW near AS SELECT id, body FROM posts; CREATE VIEW sums AS SELECT count(*) AS n FROM posts;"
        "CREATE VIEW own WITH (security_invoker = on) AS SELECT id FROM posts;"
        "GRANT ALL ON near, sums, own TO anon;"
        "CREATE FUNCTION a(posts) RETURNS text LANGUAGE sql AS 'SELECT $1.BODY';"
        "CREATE FUNCTION b(one posts) RETURNS json LANGUAGE sql AS 'SELECT to_json(one)';"
        "CREATE FUNCTION c(posts) RETURNS text LANGUAGE sql AS 'SELECT a($1)';"
        "CREATE FUNCTION d(posts) RETURNS int LANGUAGE sql AS 'SELECT length($1.body)';"
        "CREATE FUNCTION e(posts) RETURNS text RETURN $1.owner;"
        "CREATE FUNCTION f(posts, n int DEFAULT 1) RETURNS text[] LANGUAGE sql AS 'SELECT ARRAY[$1.owner]';"
        "CREATE FUNCTION g(posts, n int) RETURNS text LANGUAGE sql AS 'SELECT $1.body';",
    )  # fmt: skip
    assert set(facts.written) == {("public", "near")}
    every = frozenset({"id", "body", "owner"})
    assert {name: columns for (table, name), columns in facts.computed.items() if table == NAME} == {
        "a": {"body"}, "b": every, "c": every, "e": {"owner"}, "f": {"owner"}
    }  # fmt: skip


class _Asked(Exception):
    def __init__(self, statements: Sequence[Statement]) -> None:
        super().__init__()
        self.statements = statements


class _Spy:
    """Takes the place of a connection, to see what is asked."""

    async def run(self, statements: Sequence[Statement]) -> list[Rows]:
        raise _Asked(statements)


async def test_many_policies_are_not_looked_through_for_each_table(shop: str) -> None:
    many = "".join(
        f"CREATE TABLE t{n} (id int); ALTER TABLE t{n} ENABLE ROW LEVEL SECURITY; GRANT ALL ON t{n} TO anon;"
        f"CREATE POLICY p ON t{n} USING (id > 0); CREATE POLICY q ON t{n} FOR INSERT WITH CHECK (true);"
        for n in range(200)
    )
    with pytest.raises(_Asked) as asked:
        await load_audience_facts(_Spy())  # type: ignore[arg-type]  # no more is used of it
    async with await psycopg.AsyncConnection.connect(shop, autocommit=True) as admin:
        await admin.execute((_ROLES + many).encode())
        for one in asked.value.statements:
            if "policies AS" in one.sql:
                explained = await (await admin.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {one.sql}".encode())).fetchone()
                assert explained is not None
                assert _count_skipped(explained[0][0]["Plan"]) < 100 * 200
            else:
                await admin.execute(one.sql.encode())


def _count_skipped(node: dict[str, Any]) -> int:
    own: int = node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]
    return own + sum(map(_count_skipped, node.get("Plans", ())))
