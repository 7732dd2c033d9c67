"""Shapes that look like holes of tables, views and policies, and are none: no rule says more than a note."""

import pytest

from basewarden.sentry.rule import Severity
from tests.sentry.conftest import ScannedDatabase
from tests.sentry.table_shapes import TableCase, find_on_tables
from tests.sentry.test_hole_tables import DOCS_OF_TEAM, LIST, MEMBERS, NOTES, PEOPLE

_NOTE = {"policy_always_true_read": Severity.INFO}
SAFE = [
    TableCase("only a server's role", NOTES + "CREATE POLICY p ON notes TO service_role USING (true)"),
    TableCase("the owner does everything", NOTES + "CREATE POLICY p ON notes USING (user_id = (SELECT auth.uid()))"),
    TableCase(
        "no check is the check of USING", NOTES + "CREATE POLICY p ON notes FOR UPDATE USING (user_id = auth.uid())"
    ),
    TableCase(
        "the owner by a claim's text",
        NOTES
        + "CREATE POLICY p ON notes USING (user_id::text = current_setting('request.jwt.claims', true)::json ->> 'sub')",
    ),
    TableCase(
        "all four commands, each its own",
        NOTES + "CREATE POLICY s ON notes FOR SELECT USING (user_id = auth.uid());"
        "CREATE POLICY i ON notes FOR INSERT WITH CHECK (user_id = auth.uid());"
        "CREATE POLICY u ON notes FOR UPDATE USING (user_id = auth.uid()) WITH CHECK (user_id = auth.uid());"
        "CREATE POLICY d ON notes FOR DELETE USING (user_id = auth.uid())",
    ),
    TableCase("a public list", LIST + "CREATE POLICY p ON words FOR SELECT USING (true)", _NOTE),
    TableCase(
        "rows that are public or one's own",
        NOTES + "CREATE POLICY p ON notes FOR SELECT USING (is_public OR user_id = auth.uid())",
    ),
    TableCase(
        "a wide policy that a restrictive one narrows",
        NOTES + "CREATE POLICY p ON notes USING (true);"
        "CREATE POLICY own ON notes AS RESTRICTIVE USING (user_id = auth.uid())",
    ),
    TableCase(
        "signed in, and a restrictive policy asks whose",
        NOTES + "CREATE POLICY p ON notes USING (auth.uid() IS NOT NULL);"
        "CREATE POLICY own ON notes AS RESTRICTIVE USING (user_id = auth.uid())",
    ),
    TableCase("members of the team", MEMBERS + f"CREATE POLICY p ON docs FOR SELECT USING ({DOCS_OF_TEAM})"),
    TableCase(
        "the column of the owner may not be updated",
        MEMBERS + f"CREATE POLICY p ON docs FOR UPDATE USING ({DOCS_OF_TEAM});"
        "REVOKE UPDATE ON docs FROM authenticated; GRANT UPDATE (id) ON docs TO authenticated",
    ),
    TableCase(
        "admins by what the server wrote",
        NOTES + "CREATE POLICY p ON notes USING (auth.jwt() -> 'app_metadata' ->> 'role' = 'admin')",
    ),
    TableCase(
        "admins by a table",
        MEMBERS
        + "CREATE POLICY p ON docs USING (EXISTS (SELECT 1 FROM members m WHERE m.user_id = auth.uid() AND m.team_id = 1))",
    ),
    TableCase(
        "a function of the project decides",
        NOTES + "CREATE FUNCTION is_admin() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT false';"
        "CREATE POLICY p ON notes USING (is_admin()); CREATE POLICY own ON notes USING (user_id = auth.uid())",
    ),
    TableCase("nobody is let in", NOTES + "CREATE POLICY p ON notes USING (false)"),
    TableCase(
        "the policy's role has no rights",
        NOTES + "CREATE POLICY p ON notes USING (true); REVOKE ALL ON notes FROM anon, authenticated",
    ),
    TableCase(
        "the policy is for a command that is not granted",
        LIST + "CREATE POLICY p ON words FOR DELETE USING (true); REVOKE DELETE ON words FROM anon, authenticated",
    ),
    TableCase(
        "users add rows with the owner's column from its default",
        NOTES + "CREATE POLICY p ON notes FOR INSERT TO authenticated WITH CHECK (auth.uid() IS NOT NULL);"
        "ALTER TABLE notes ALTER user_id SET DEFAULT auth.uid(); REVOKE INSERT ON notes FROM anon, authenticated;"
        "GRANT INSERT (id, body) ON notes TO authenticated",
    ),
    TableCase(
        "a schema that is not exposed",
        "CREATE SCHEMA inside; CREATE TABLE inside.t (id int, password text); GRANT ALL ON inside.t TO anon",
    ),
    TableCase("nothing is granted", "CREATE TABLE t (id int, password text)"),
    TableCase(
        "an invoker's view",
        NOTES
        + "CREATE POLICY p ON notes USING (false); CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM notes;"
        "GRANT SELECT ON v TO anon",
    ),
    TableCase(
        "a definer's view over an invoker's",
        LIST + "CREATE POLICY p ON words USING (false); CREATE SCHEMA inside;"
        "CREATE VIEW inside.w WITH (security_invoker = on) AS SELECT * FROM words;"
        "CREATE VIEW v AS SELECT * FROM inside.w; GRANT SELECT ON v TO anon",
    ),
    TableCase(
        "a view that asks itself",
        NOTES
        + "CREATE POLICY p ON notes USING (false); CREATE VIEW v AS SELECT * FROM notes WHERE user_id = auth.uid();"
        "GRANT SELECT ON v TO anon, authenticated",
    ),
    TableCase(
        "the caller's own account",
        "CREATE VIEW me AS SELECT id, email FROM auth.users WHERE id = (SELECT auth.uid()); GRANT SELECT ON me TO authenticated",
    ),
    TableCase(
        "a view of a table without row level security that nobody else reaches",
        "CREATE TABLE t (id int); CREATE VIEW v AS SELECT * FROM t; GRANT SELECT ON v TO anon",
    ),
    TableCase(
        "a materialized view that only the server reads",
        PEOPLE + "CREATE POLICY p ON people USING (false); CREATE MATERIALIZED VIEW m AS SELECT * FROM people",
    ),
    TableCase(
        "totals",
        "CREATE TABLE t (id int); CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t; GRANT SELECT ON m TO anon",
        {"materialized_view_open": Severity.INFO},
    ),
    TableCase(
        "public profiles whose address is not granted",
        PEOPLE
        + "CREATE POLICY p ON people FOR SELECT USING (is_public); REVOKE SELECT ON people FROM anon, authenticated;"
        "GRANT SELECT (id, is_public) ON people TO anon, authenticated",
    ),
    TableCase(
        "one's own address by a grant on the column",
        "CREATE TABLE t (user_id uuid, email text); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON t FOR SELECT USING (user_id = auth.uid()); GRANT SELECT (user_id, email) ON t TO authenticated",
    ),
    TableCase(
        "partitions that have row level security themselves",
        "CREATE TABLE e (id int) PARTITION BY LIST (id); CREATE TABLE e1 PARTITION OF e FOR VALUES IN (1);"
        "ALTER TABLE e ENABLE ROW LEVEL SECURITY; ALTER TABLE e1 ENABLE ROW LEVEL SECURITY; REVOKE ALL ON e, e1 FROM anon",
    ),
    TableCase(
        "partitions that nobody has rights on",
        "CREATE TABLE e (id int, user_id uuid) PARTITION BY LIST (id); CREATE TABLE e1 PARTITION OF e FOR VALUES IN (1);"
        "ALTER TABLE e ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON e FOR SELECT USING (user_id = auth.uid());"
        "GRANT SELECT ON e TO authenticated",
    ),
    TableCase(
        "quoted names",
        'CREATE TABLE "od""d \'%s" (id int, "User Id" uuid); ALTER TABLE "od""d \'%s" ENABLE ROW LEVEL SECURITY;'
        'GRANT ALL ON "od""d \'%s" TO authenticated; REVOKE TRUNCATE, REFERENCES, TRIGGER ON "od""d \'%s" FROM authenticated;'
        'CREATE POLICY "p""" ON "od""d \'%s" USING ("User Id" = auth.uid())',
    ),
]


@pytest.mark.parametrize("shape", SAFE, ids=lambda shape: shape.name)
async def test_it_is_no_more_than_a_note(scanned: ScannedDatabase, shape: TableCase) -> None:
    assert await find_on_tables(scanned, shape) == shape.found
