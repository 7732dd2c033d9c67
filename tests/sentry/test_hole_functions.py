"""Holes of functions, roles and other objects, of other shapes than each rule's own: the rule finds each once."""

import pytest

from basewarden.sentry.rule import Severity
from tests.sentry.conftest import ScannedDatabase
from tests.sentry.shapes import FunctionShape, list_severities

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);"
_DEFINER = "LANGUAGE sql SECURITY DEFINER SET search_path = ''"
CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
HOLES = [
    (
        FunctionShape(
            "the check is only in a comment",
            "definer_function_open",
            _NOTES + f"CREATE FUNCTION f() RETURNS void {_DEFINER} AS $$DELETE FROM public.notes -- auth.uid()\n$$",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "the check is only in a message",
            "definer_function_open",
            _NOTES + "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$BEGIN RAISE NOTICE 'no auth.uid() -- here'; DELETE FROM public.notes; END$$",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "inside, current_user is the owner",
            "definer_function_open",
            _NOTES + "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$BEGIN IF current_user = 'anon' THEN RETURN; END IF; DELETE FROM public.notes; END$$",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "only for those who signed up",
            "definer_function_open",
            _NOTES + f"CREATE FUNCTION f() RETURNS SETOF notes {_DEFINER} AS 'SELECT * FROM public.notes';"
            "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC; GRANT EXECUTE ON FUNCTION f TO authenticated",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "a body of the new form",
            "definer_function_open",
            _NOTES + "CREATE FUNCTION f() RETURNS SETOF notes SECURITY DEFINER BEGIN ATOMIC SELECT * FROM notes; END",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "it asks who the caller is",
            "definer_function_open",
            _NOTES
            + f"CREATE FUNCTION f() RETURNS void {_DEFINER} AS 'DELETE FROM public.notes WHERE owner = \"auth\".uid()'",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "it asks by another function",
            "definer_function_open",
            _NOTES
            + "CREATE FUNCTION auth.is_admin() RETURNS bool LANGUAGE sql AS $$SELECT auth.jwt() ->> 'role' = 'admin'$$;"
            + f"CREATE FUNCTION f() RETURNS void {_DEFINER} AS 'DELETE FROM public.notes WHERE auth.is_admin()'",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "a procedure with settings of another kind",
            "function_search_path_mutable",
            _NOTES + "CREATE PROCEDURE p() LANGUAGE sql SECURITY DEFINER SET work_mem = '4MB' AS 'DELETE FROM notes'",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "a trigger function without a search_path",
            "function_search_path_mutable",
            "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN new; END'",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "the caller is only noted",
            "function_takes_tenant",
            _NOTES + "CREATE FUNCTION f(p_org_id uuid, text text) RETURNS void LANGUAGE sql SECURITY DEFINER AS"
            " 'INSERT INTO public.notes VALUES (1, p_org_id, auth.uid() || text)'",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "signed in is not owner",
            "function_takes_tenant",
            _NOTES + f"CREATE FUNCTION f(user_id uuid) RETURNS SETOF notes {_DEFINER} AS"
            " $$SELECT * FROM public.notes WHERE owner = user_id AND auth.role() = 'authenticated'$$",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "a default and an OUT argument",
            "function_takes_tenant",
            _NOTES
            + 'CREATE FUNCTION f(OUT n bigint, "userId" uuid DEFAULT NULL, owner_id uuid DEFAULT NULL) LANGUAGE sql'
            " SECURITY DEFINER AS 'SELECT count(*) FROM public.notes WHERE owner = owner_id'",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "a trigger copies the role",
            "function_trusts_user_metadata",
            "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN"
            " new.role := coalesce(new.raw_user_meta_data::jsonb->>'user_role', 'user'); RETURN new; END$$",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "a path into the claims",
            "function_trusts_user_metadata",
            "CREATE FUNCTION f() RETURNS uuid LANGUAGE sql AS"
            " $$SELECT (auth.jwt() #>> '{user_metadata,tenant_id}')::uuid$$",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "a body of the new form that reads metadata",
            "function_trusts_user_metadata",
            "CREATE FUNCTION f() RETURNS bool RETURN (SELECT (raw_user_meta_data ->> 'is_admin')::bool FROM auth.users"
            " WHERE id = auth.uid())",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "a function of yours that fetches an address",
            "network_function_open",
            "CREATE SCHEMA net; CREATE FUNCTION net.http_get(url text) RETURNS int LANGUAGE sql AS 'SELECT 1';"
            "CREATE FUNCTION fetch_page(url text) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS"
            " 'BEGIN RETURN net.http_get(url); END'",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "its caller may use the extension",
            "network_function_open",
            "CREATE SCHEMA net; CREATE FUNCTION net.http_get(url text) RETURNS int LANGUAGE sql AS 'SELECT 1';"
            "GRANT USAGE ON SCHEMA net TO authenticated; CREATE FUNCTION fetch_page(url text) RETURNS int LANGUAGE plpgsql AS"
            " 'BEGIN RETURN net.http_get(url); END'",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "the extension's functions under their own names",
            "network_function_open",
            "CREATE FUNCTION http_get(uri text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "a program of the server",
            "network_function_open",
            "CREATE FUNCTION run(cmd text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$BEGIN CREATE TEMP TABLE o (l text); COPY o FROM PROGRAM 'ls'; END$$;"
            "REVOKE EXECUTE ON FUNCTION run FROM PUBLIC; GRANT EXECUTE ON FUNCTION run TO authenticated",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "a policy lets a caller write",
            "definer_trigger_reachable",
            _NOTES + "CREATE SCHEMA inner_part; CREATE FUNCTION inner_part.t() RETURNS trigger LANGUAGE plpgsql"
            " SECURITY DEFINER AS 'BEGIN INSERT INTO public.notes VALUES (2); RETURN new; END';"
            "CREATE TRIGGER t AFTER UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION inner_part.t();"
            "GRANT UPDATE (body) ON notes TO authenticated; ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY own ON notes FOR UPDATE TO authenticated USING (owner = auth.uid())",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "the trigger builds SQL from text",
            "definer_trigger_reachable",
            _NOTES + "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
            " $$BEGIN EXECUTE 'SELECT ' || new.body; RETURN new; END$$;"
            "CREATE TRIGGER t AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION t(); GRANT INSERT ON notes TO anon",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "a view's trigger",
            "definer_trigger_reachable",
            _NOTES + "CREATE VIEW seen AS SELECT * FROM notes; CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql"
            " SECURITY DEFINER AS 'BEGIN DELETE FROM public.notes; RETURN old; END';"
            "CREATE TRIGGER t INSTEAD OF DELETE ON seen FOR EACH ROW EXECUTE FUNCTION t(); GRANT DELETE ON seen TO anon",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "a superuser's function that asks who the caller is",
            "definer_owned_by_superuser",
            f"CREATE FUNCTION f() RETURNS uuid {_DEFINER} AS 'SELECT auth.uid()'",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "a member of the server's role",
            "api_role_is_member",
            "GRANT service_role TO anon",
            "REVOKE service_role FROM anon",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "by way of another role, the owner of a table",
            "api_role_is_member",
            "CREATE ROLE owner_17; CREATE ROLE between_17; GRANT owner_17 TO between_17; GRANT between_17 TO authenticated;"
            + _NOTES
            + "ALTER TABLE notes OWNER TO owner_17",
            "DROP OWNED BY owner_17; DROP ROLE owner_17; DROP ROLE between_17",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "for all schemas, and for everyone",
            "default_privileges_open",
            "ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO PUBLIC",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "another role that makes tables",
            "default_privileges_open",
            "ALTER DEFAULT PRIVILEGES FOR ROLE service_role IN SCHEMA public GRANT TRUNCATE ON TABLES TO authenticated",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "functions only",
            "default_privileges_open",
            "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON ROUTINES TO anon",
        ),
        INFO,
    ),
    (
        FunctionShape("one role may create", "schema_create_granted", "GRANT CREATE ON SCHEMA public TO authenticated"),
        WARNING,
    ),
    (FunctionShape("the login of the tests", "login_is_superuser", "SELECT 1"), INFO),
    (
        FunctionShape(
            "everyone may set it", "sequence_open", "CREATE SEQUENCE s; GRANT UPDATE ON SEQUENCE s TO PUBLIC"
        ),
        INFO,
    ),
    (
        FunctionShape(
            "a publication of all tables",
            "publication_without_rls",
            "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);GRANT SELECT (body) ON notes TO authenticated; CREATE PUBLICATION supabase_realtime FOR ALL TABLES",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "the whole old row",
            "publication_without_rls",
            "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);GRANT SELECT ON notes TO anon; ALTER TABLE notes ENABLE ROW LEVEL SECURITY; ALTER TABLE notes REPLICA IDENTITY FULL; CREATE PUBLICATION supabase_realtime FOR TABLE notes",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "a policy for all buckets",
            "bucket_public_listing",
            "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR ALL TO authenticated USING (true)",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "one of several buckets",
            "bucket_public_listing",
            "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR SELECT USING (bucket_id IN ('b', 'a'))",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "joined by OR",
            "bucket_public_listing",
            "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR SELECT USING (bucket_id = 'a' OR owner = auth.uid())",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "row level security is off",
            "bucket_public_listing",
            "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);ALTER TABLE storage.objects DISABLE ROW LEVEL SECURITY",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "everyone who signed up may delete",
            "bucket_open_writes",
            "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR DELETE TO authenticated USING (bucket_id = 'a')",
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "everything, joined by OR",
            "bucket_open_writes",
            "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE FUNCTION storage.extension(name text) RETURNS text LANGUAGE sql AS 'SELECT name'; CREATE POLICY p ON storage.objects USING ((bucket_id = 'b' AND owner = auth.uid()) OR (bucket_id = 'a' AND lower(storage.extension(name)) = 'jpg'))",
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "for those who signed up only",
            "graphql_open",
            "CREATE SCHEMA graphql; CREATE FUNCTION graphql.resolve(query text) RETURNS jsonb LANGUAGE sql AS $$SELECT '{}'::jsonb$$;CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);GRANT USAGE ON SCHEMA graphql TO authenticated; GRANT SELECT (body) ON notes TO authenticated",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "an exposed queue that everyone adds to",
            "queue_open",
            "CREATE SCHEMA pgmq; CREATE TABLE pgmq.meta (queue_name text); CREATE TABLE pgmq.a_mails (msg_id bigint, message jsonb);GRANT USAGE ON SCHEMA pgmq TO PUBLIC; GRANT INSERT (message) ON pgmq.a_mails TO PUBLIC",
            schemas=("public", "pgmq_public"),
        ),
        CRITICAL,
    ),
    (
        FunctionShape(
            "another exposed schema",
            "extension_in_exposed_schema",
            "CREATE SCHEMA app; CREATE EXTENSION citext SCHEMA app",
            schemas=("public", "app"),
        ),
        INFO,
    ),
    (FunctionShape("the catalog", "system_schema_exposed", "SELECT 1", schemas=("public", "pg_catalog")), CRITICAL),
    (
        FunctionShape(
            "one that the roles may not use", "system_schema_exposed", "CREATE SCHEMA vault", schemas=("vault",)
        ),
        WARNING,
    ),
    (
        FunctionShape(
            "an index that only has it second",
            "unindexed_foreign_key",
            "CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (id int PRIMARY KEY, a int REFERENCES authors); CREATE INDEX ON n (id, a)",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "an index of some rows",
            "unindexed_foreign_key",
            "CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (id int PRIMARY KEY, a int REFERENCES authors); CREATE INDEX ON n (a) WHERE id > 5",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "a partitioned table",
            "unindexed_foreign_key",
            "CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (x int, a int REFERENCES authors) PARTITION BY LIST (x); CREATE TABLE n1 PARTITION OF n FOR VALUES IN (1)",
        ),
        INFO,
    ),
    (
        FunctionShape("a unique index is no primary key", "no_primary_key", "CREATE TABLE n (x int NOT NULL UNIQUE)"),
        INFO,
    ),
    (
        FunctionShape(
            "a plain index beside the primary key",
            "duplicate_index",
            "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);CREATE INDEX again ON notes (id)",
        ),
        INFO,
    ),
    (
        FunctionShape(
            "three of an expression",
            "duplicate_index",
            "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);CREATE INDEX ON notes (lower(body)); CREATE INDEX ON notes (lower(body)); CREATE INDEX ON notes (lower(body))",
        ),
        INFO,
    ),
    (
        FunctionShape("an array of them", "unsupported_reg_type", "CREATE TABLE j (a int PRIMARY KEY, b regconfig[])"),
        INFO,
    ),
    # more
]


@pytest.mark.parametrize(("shape", "severity"), HOLES, ids=lambda one: getattr(one, "name", ""))
async def test_a_hole_of_another_shape_is_found(
    scanned: ScannedDatabase, shape: FunctionShape, severity: Severity
) -> None:
    assert await list_severities(scanned, shape) == [severity]
