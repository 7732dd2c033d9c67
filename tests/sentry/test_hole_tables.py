"""Holes of tables, views and policies, of other shapes than each rule's own: just one rule says each."""

import pytest

from basewarden.sentry.rule import Severity
from tests.sentry.conftest import ScannedDatabase
from tests.sentry.table_shapes import TableCase, find_on_tables

NOTES = (
    "CREATE TABLE notes (id int PRIMARY KEY, user_id uuid, body text, is_public boolean);"
    "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO anon, authenticated;"
)
LIST = (
    "CREATE TABLE words (id int PRIMARY KEY, word text);"
    "ALTER TABLE words ENABLE ROW LEVEL SECURITY; GRANT SELECT, INSERT, UPDATE, DELETE ON words TO anon, authenticated;"
)
PEOPLE = (
    "CREATE TABLE people (id int PRIMARY KEY, email text, is_public boolean);"
    "ALTER TABLE people ENABLE ROW LEVEL SECURITY; GRANT SELECT ON people TO anon, authenticated;"
)
MEMBERS = (
    "CREATE TABLE members (user_id uuid, team_id int); CREATE TABLE docs (id int, team_id int, owner_id uuid);"
    "ALTER TABLE members ENABLE ROW LEVEL SECURITY; ALTER TABLE docs ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY own ON members USING (user_id = auth.uid()); GRANT SELECT ON members TO authenticated;"
    "GRANT SELECT, UPDATE ON docs TO authenticated;"
)
DOCS_OF_TEAM = "EXISTS (SELECT 1 FROM members m WHERE m.user_id = auth.uid() AND m.team_id = docs.team_id)"
CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
HOLES = [
    TableCase(
        "the policies are off, and everything is granted",
        NOTES + "CREATE POLICY own ON notes USING (user_id = auth.uid());ALTER TABLE notes DISABLE ROW LEVEL SECURITY;",
        {"rls_policies_but_off": CRITICAL},
    ),
    TableCase(
        "a partitioned table without row level security",
        "CREATE TABLE e (id int) PARTITION BY LIST (id); GRANT ALL ON e TO anon; REVOKE TRUNCATE, REFERENCES, TRIGGER ON e FROM anon",
        {"rls_off": CRITICAL},
    ),
    TableCase(
        "id = id, for all",
        NOTES + "CREATE POLICY p ON notes USING (id = id)",
        {"policy_always_true_write": CRITICAL},
    ),
    TableCase(
        "a tautology",
        LIST + "CREATE POLICY p ON words FOR DELETE USING (word IS NULL OR word IS NOT NULL)",
        {"policy_always_true_write": CRITICAL},
    ),
    TableCase(
        "an update whose policy does not ask who",
        NOTES + "CREATE POLICY p ON notes FOR UPDATE USING (is_public)",
        {"policy_always_true_write": CRITICAL},
    ),
    TableCase(
        "a form that everyone may fill in",
        LIST + "CREATE POLICY p ON words FOR INSERT TO anon WITH CHECK (true)",
        {"policy_always_true_write": WARNING},
    ),
    TableCase(
        "the writing policy's check alone is open",
        NOTES + "CREATE POLICY p ON notes USING (user_id = auth.uid()) WITH CHECK (coalesce(true, false))",
        {"policy_always_true_write": WARNING},
    ),
    TableCase(
        "everyone reads, nobody is asked, and there are addresses",
        PEOPLE + "CREATE POLICY p ON people FOR SELECT USING (NOT false)",
        {"policy_always_true_read": CRITICAL},
    ),
    TableCase(
        "guests read all and users nothing",
        PEOPLE + "CREATE POLICY p ON people FOR SELECT USING (auth.uid() IS NULL)",
        {"policy_always_true_read": CRITICAL},
    ),
    TableCase(
        "everyone reads everyone's rows",
        NOTES + "CREATE POLICY p ON notes FOR SELECT USING (true)",
        {"policy_always_true_read": WARNING},
    ),
    TableCase(
        "a wide policy beside a strict one",
        NOTES + "CREATE POLICY own ON notes USING (user_id = auth.uid()); CREATE POLICY p ON notes USING (true)",
        {"policies_joined_by_or": CRITICAL},
    ),
    TableCase(
        "a policy for the signed in beside a strict one",
        NOTES + "CREATE POLICY own ON notes FOR UPDATE USING (user_id = auth.uid());"
        "CREATE POLICY p ON notes FOR UPDATE USING (auth.uid() IS NOT NULL)",
        {"policies_joined_by_or": CRITICAL},
    ),
    TableCase(
        "signed in is enough to delete",
        NOTES + "CREATE POLICY p ON notes FOR DELETE USING ((SELECT auth.uid()) IS NOT NULL)",
        {"policy_signed_in_is_not_owner": CRITICAL},
    ),
    TableCase(
        "signed in is enough to read, by the role",
        NOTES + "CREATE POLICY p ON notes FOR SELECT USING (auth.jwt() ->> 'role' = 'authenticated')",
        {"policy_signed_in_is_not_owner": WARNING},
    ),
    TableCase(
        "who has an account",
        NOTES + "CREATE POLICY p ON notes FOR SELECT USING (auth.uid() IN (SELECT id FROM auth.users))",
        {"policy_signed_in_is_not_owner": WARNING},
    ),
    TableCase(
        "every user reads every tenant",
        NOTES.replace("user_id", "organization_id")
        + "CREATE POLICY p ON notes FOR SELECT TO authenticated USING (true)",
        {"policy_reads_all_tenants": WARNING},
    ),
    TableCase(
        "the column is a key to auth.users",
        "CREATE TABLE t (id int, reporter uuid REFERENCES auth.users); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        "GRANT SELECT ON t TO authenticated; CREATE POLICY p ON t FOR SELECT TO authenticated USING (1 = 1)",
        {"policy_reads_all_tenants": WARNING},
    ),
    TableCase(
        "a subquery that compares its column with itself",
        MEMBERS + "CREATE POLICY p ON docs FOR SELECT USING (EXISTS (SELECT 1 FROM members m"
        " WHERE m.user_id = auth.uid() AND m.team_id = team_id))",
        {"policy_reads_all_tenants": CRITICAL},
    ),
    TableCase(
        "the metadata in auth.users",
        LIST + "CREATE POLICY p ON words FOR UPDATE USING (EXISTS (SELECT 1 FROM auth.users u"
        " WHERE u.id = auth.uid() AND u.raw_user_meta_data ->> 'role' = 'admin'))",
        {"policy_trusts_user_metadata": CRITICAL},
    ),
    TableCase(
        "a tenant that users choose",
        NOTES.replace("user_id uuid", "tenant_id text")
        + "CREATE POLICY p ON notes FOR SELECT USING (tenant_id = (SELECT auth.jwt() #>> '{user_metadata,tenant}'))",
        {"policy_trusts_user_metadata": CRITICAL},
    ),
    TableCase(
        "metadata beside the owner",
        NOTES + "CREATE POLICY p ON notes FOR SELECT USING (user_id = auth.uid()"
        " AND auth.jwt() -> 'user_metadata' ->> 'plan' = 'pro')",
        {"policy_trusts_user_metadata": WARNING},
    ),
    TableCase(
        "a check that every user passes",
        NOTES + "CREATE POLICY p ON notes FOR UPDATE TO authenticated USING (user_id = auth.uid())"
        " WITH CHECK (auth.role() = 'authenticated')",
        {"update_check_lets_rows_change_hands": WARNING},
    ),
    TableCase(
        "a USING that still holds when the owner has changed",
        MEMBERS + f"CREATE POLICY p ON docs FOR UPDATE USING ({DOCS_OF_TEAM})",
        {"update_check_lets_rows_change_hands": WARNING},
    ),
    TableCase(
        "the owner's policy for everything has an open check",
        NOTES + "CREATE POLICY p ON notes TO authenticated USING (user_id = auth.uid()) WITH CHECK (true)",
        {"update_check_lets_rows_change_hands": WARNING},
    ),
    TableCase(
        "rows are added in anyone's name",
        NOTES + "CREATE POLICY p ON notes FOR INSERT TO authenticated WITH CHECK (true)",
        {"insert_owner_set_by_caller": WARNING},
    ),
    TableCase(
        "the check asks for the text only",
        NOTES + "CREATE POLICY p ON notes FOR INSERT TO authenticated WITH CHECK (length(body) < 100)",
        {"insert_owner_set_by_caller": WARNING},
    ),
    TableCase(
        "a view with addresses",
        PEOPLE
        + "CREATE POLICY p ON people USING (false); CREATE VIEW v AS SELECT * FROM people; GRANT SELECT ON v TO anon",
        {"definer_view": CRITICAL},
    ),
    TableCase(
        "a view that rows are changed through",
        LIST + "CREATE POLICY p ON words USING (false); CREATE VIEW v AS SELECT * FROM words; GRANT ALL ON v TO anon",
        {"definer_view": CRITICAL},
    ),
    TableCase(
        "an invoker's view over a definer's",
        LIST + "CREATE POLICY p ON words USING (false); CREATE SCHEMA inside; GRANT USAGE ON SCHEMA inside TO anon;"
        "CREATE VIEW inside.w AS SELECT * FROM words; GRANT SELECT ON inside.w TO anon;"
        "CREATE VIEW v WITH (security_invoker) AS SELECT * FROM inside.w; GRANT SELECT ON v TO anon",
        {"definer_view": WARNING},
    ),
    TableCase(
        "views over views",
        LIST + "CREATE POLICY p ON words USING (false); CREATE SCHEMA inside;"
        "CREATE VIEW inside.w AS SELECT * FROM words; CREATE VIEW inside.x AS SELECT * FROM inside.w;"
        "CREATE VIEW v AS SELECT * FROM inside.x; GRANT SELECT ON v TO anon",
        {"definer_view": WARNING},
    ),
    TableCase(
        "one of two open views over each other is the cause",
        LIST + "CREATE POLICY p ON words USING (false); CREATE VIEW w AS SELECT * FROM words;"
        "CREATE VIEW v AS SELECT * FROM w; GRANT SELECT ON v, w TO authenticated",
        {"definer_view": WARNING},
    ),
    TableCase(
        "a filter that an outer join ignores",
        NOTES + "CREATE POLICY p ON notes USING (false); CREATE VIEW v AS SELECT n.id FROM notes n"
        " LEFT JOIN notes m ON m.user_id = auth.uid(); GRANT SELECT ON v TO authenticated",
        {"definer_view": WARNING},
    ),
    TableCase(
        "a view over a materialized one that is closed itself",
        LIST + "CREATE POLICY p ON words USING (false); CREATE SCHEMA inside;"
        "CREATE MATERIALIZED VIEW inside.m AS SELECT * FROM words; CREATE VIEW v AS SELECT * FROM inside.m;"
        "GRANT SELECT ON v TO anon",
        {"definer_view": WARNING},
    ),
    TableCase(
        "a materialized view of users",
        "CREATE MATERIALIZED VIEW m AS SELECT id, email FROM auth.users; GRANT SELECT ON m TO anon",
        {"view_of_auth_users": CRITICAL},
    ),
    TableCase(
        "users by a view over a view",
        "CREATE SCHEMA inside; CREATE VIEW inside.u AS SELECT * FROM auth.users;"
        "CREATE VIEW v AS SELECT email FROM inside.u; GRANT SELECT ON v TO anon",
        {"view_of_auth_users": CRITICAL},
    ),
    TableCase(
        "a materialized view with addresses",
        PEOPLE + "CREATE POLICY p ON people USING (false); CREATE MATERIALIZED VIEW m AS SELECT * FROM people;"
        "GRANT SELECT ON m TO anon",
        {"materialized_view_open": CRITICAL},
    ),
    TableCase(
        "a foreign table that may be written",
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE FOREIGN TABLE f (id int) SERVER s;"
        "GRANT INSERT ON f TO anon",
        {"foreign_table_open": CRITICAL},
    ),
    TableCase(
        "public profiles with addresses",
        PEOPLE + "CREATE POLICY p ON people FOR SELECT USING (is_public)",
        {"sensitive_columns_open": CRITICAL},
    ),
    TableCase(
        "a secret column by itself, without row level security",
        "CREATE TABLE t (id int, api_key text); GRANT SELECT (id, api_key) ON t TO anon",
        {"column_grant_on_secret": CRITICAL},
    ),
    TableCase(
        "updates without a right to read",
        "CREATE TABLE t (id int); GRANT UPDATE ON t TO authenticated",
        {"write_without_select": CRITICAL},
    ),
    TableCase(
        "TRUNCATE for all who sign in to the database",
        LIST + "CREATE POLICY p ON words FOR SELECT USING (false); GRANT TRUNCATE ON words TO PUBLIC",
        {"truncate_references_trigger_granted": INFO},
    ),
    TableCase(
        "a child by inheritance, two levels down",
        "CREATE TABLE a (id int); CREATE TABLE b () INHERITS (a); CREATE TABLE c () INHERITS (b);"
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY; GRANT SELECT, UPDATE ON c TO anon",
        {"partition_open": CRITICAL},
    ),
    TableCase(
        "an API role counts as the owner",
        LIST + "CREATE POLICY p ON words FOR SELECT USING (false);"
        "DROP ROLE IF EXISTS sentry_app; CREATE ROLE sentry_app NOLOGIN; GRANT sentry_app TO authenticated;"
        "ALTER TABLE words OWNER TO sentry_app",
        {"rls_not_forced": CRITICAL},
        "DROP TABLE words; DROP ROLE sentry_app",
    ),
    TableCase(
        "an API role may become the owner",
        LIST + "CREATE POLICY p ON words FOR SELECT USING (false);"
        "DROP ROLE IF EXISTS sentry_app; CREATE ROLE sentry_app NOLOGIN; ALTER ROLE authenticated NOINHERIT;"
        "GRANT sentry_app TO authenticated; ALTER TABLE words OWNER TO sentry_app",
        {"rls_not_forced": INFO},
        "ALTER ROLE authenticated INHERIT; DROP TABLE words; DROP ROLE sentry_app",
    ),
]


@pytest.mark.parametrize("shape", HOLES, ids=lambda shape: shape.name)
async def test_just_one_rule_says_it(scanned: ScannedDatabase, shape: TableCase) -> None:
    assert await find_on_tables(scanned, shape) == shape.found
