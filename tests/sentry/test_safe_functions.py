"""Shapes that look like holes of functions, roles and other objects, and are none: the rule stays silent."""

import pytest

from tests.sentry.conftest import ScannedDatabase
from tests.sentry.shapes import FunctionShape, list_severities

_NOTES = "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);"
_DEFINER = "LANGUAGE sql SECURITY DEFINER SET search_path = ''"
SAFE = [
    FunctionShape(
        "a trigger function cannot be called",
        "definer_function_open",
        _NOTES
        + "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        + " 'BEGIN DELETE FROM public.notes; RETURN new; END'",
    ),
    FunctionShape(
        "execute is revoked",
        "definer_function_open",
        _NOTES
        + f"CREATE FUNCTION drop_all() RETURNS void {_DEFINER} AS 'DELETE FROM public.notes';"
        + "REVOKE EXECUTE ON FUNCTION drop_all FROM PUBLIC",
    ),
    FunctionShape(
        "a schema that is not exposed",
        "definer_function_open",
        _NOTES
        + f"CREATE SCHEMA inner_part; CREATE FUNCTION inner_part.f() RETURNS void {_DEFINER} AS 'DELETE FROM public.notes'",
    ),
    FunctionShape(
        "the caller's own rights",
        "definer_function_open",
        _NOTES + "CREATE FUNCTION drop_all() RETURNS void LANGUAGE sql AS 'DELETE FROM public.notes'",
    ),
    FunctionShape(
        "it reaches no data",
        "definer_function_open",
        f"CREATE FUNCTION greet(name text) RETURNS text {_DEFINER} AS $$SELECT format('Hi %s', lower(name))$$",
    ),
    FunctionShape(
        "a search_path of its own",
        "function_search_path_mutable",
        _NOTES + "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public"
        " AS 'SELECT count(*) FROM notes'",
    ),
    FunctionShape(
        "names that are bound",
        "function_search_path_mutable",
        _NOTES + "CREATE FUNCTION f() RETURNS bigint SECURITY DEFINER RETURN (SELECT count(*) FROM notes)",
    ),
    FunctionShape(
        "the caller's own rights and no search_path",
        "function_search_path_mutable",
        _NOTES + "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM notes'",
    ),
    FunctionShape(
        "the user is compared with the caller",
        "function_takes_tenant",
        _NOTES + "CREATE FUNCTION f(user_id uuid) RETURNS SETOF notes LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN"
        " IF user_id <> auth.uid() THEN RAISE EXCEPTION 'no'; END IF;"
        " RETURN QUERY SELECT * FROM public.notes n WHERE n.owner = user_id; END$$",
    ),
    FunctionShape(
        "another function compares",
        "function_takes_tenant",
        _NOTES + "CREATE SCHEMA inner_part; CREATE FUNCTION inner_part.require(u uuid) RETURNS void LANGUAGE plpgsql AS"
        " $$BEGIN IF u <> (SELECT auth.uid()) THEN RAISE EXCEPTION 'no'; END IF; END$$;"
        " CREATE FUNCTION f(user_id uuid) RETURNS SETOF notes LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN"
        " PERFORM inner_part.require(user_id); RETURN QUERY SELECT * FROM public.notes n WHERE n.owner = user_id; END$$",
    ),
    FunctionShape(
        "a claim in the old form is compared",
        "function_takes_tenant",
        _NOTES
        + f"CREATE FUNCTION f(tenant uuid) RETURNS SETOF notes {_DEFINER} AS $$SELECT * FROM public.notes WHERE owner = tenant"
        " AND tenant::text = current_setting('request.jwt.claims', true)::json ->> 'tenant'$$",
    ),
    FunctionShape(
        "row level security holds for the caller",
        "function_takes_tenant",
        _NOTES
        + "CREATE FUNCTION f(tenant uuid) RETURNS SETOF notes LANGUAGE sql AS 'SELECT * FROM public.notes WHERE owner = tenant'",
    ),
    FunctionShape(
        "an argument that is no person's",
        "function_takes_tenant",
        _NOTES
        + f"CREATE FUNCTION f(note_id int) RETURNS SETOF notes {_DEFINER} AS 'SELECT * FROM public.notes WHERE id = note_id'",
    ),
    FunctionShape(
        "only the server may ask",
        "function_takes_tenant",
        _NOTES + "CREATE FUNCTION f(user_id uuid) RETURNS SETOF notes LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN"
        " IF auth.role() <> 'service_role' THEN RAISE EXCEPTION 'no'; END IF;"
        " RETURN QUERY SELECT * FROM public.notes n WHERE n.owner = user_id; END$$",
    ),
    FunctionShape(
        "a name from the metadata",
        "function_trusts_user_metadata",
        "CREATE TABLE profiles (id uuid PRIMARY KEY, name text, role text DEFAULT 'user');"
        "CREATE FUNCTION add_profile() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN INSERT INTO"
        " public.profiles (id, name) VALUES (new.id, new.raw_user_meta_data ->> 'full_name'); RETURN new; END$$",
    ),
    FunctionShape(
        "a role from the other metadata",
        "function_trusts_user_metadata",
        "CREATE FUNCTION f() RETURNS bool LANGUAGE sql AS $$SELECT auth.jwt() -> 'app_metadata' ->> 'role' = 'admin'$$",
    ),
    FunctionShape(
        "the metadata in a comment",
        "function_trusts_user_metadata",
        "CREATE FUNCTION f() RETURNS bool LANGUAGE sql AS $$SELECT true -- not user_metadata ->> 'role'\n$$",
    ),
    FunctionShape(
        "the extension is in a schema that is not exposed",
        "network_function_open",
        "CREATE SCHEMA extensions; GRANT USAGE ON SCHEMA extensions TO anon; CREATE EXTENSION dblink SCHEMA extensions",
    ),
    FunctionShape(
        "the address is fixed",
        "network_function_open",
        "CREATE SCHEMA net; CREATE FUNCTION net.http_get(url text) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION ping() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$BEGIN RETURN net.http_get('https://example.com'); END$$",
    ),
    FunctionShape(
        "the caller may not call what it calls",
        "network_function_open",
        "CREATE SCHEMA net; CREATE FUNCTION net.http_get(url text) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION ping(url text) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN net.http_get(url); END'",
    ),
    FunctionShape(
        "a trigger that calls a server",
        "network_function_open",
        "CREATE SCHEMA net; CREATE FUNCTION net.http_post(url text) RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE FUNCTION hook() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " $$BEGIN PERFORM net.http_post('https://example.com/' || new.id); RETURN new; END$$",
    ),
    FunctionShape(
        "no policy lets a caller write",
        "definer_trigger_reachable",
        _NOTES + "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN DELETE FROM public.notes; RETURN new; END';"
        "CREATE TRIGGER t AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION t(); GRANT ALL ON notes TO anon;"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE POLICY r ON notes FOR SELECT USING (true)",
    ),
    FunctionShape(
        "the trigger is of a table that callers cannot reach",
        "definer_trigger_reachable",
        "CREATE TABLE profiles (id uuid);"
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN INSERT INTO public.profiles VALUES (new.id); RETURN new; END';"
        "CREATE TRIGGER t AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION t()",
    ),
    FunctionShape(
        "it changes only the row itself",
        "definer_trigger_reachable",
        _NOTES + "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN new.owner := auth.uid(); RETURN new; END';"
        "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION t(); GRANT ALL ON notes TO anon",
    ),
    FunctionShape(
        "the caller's own rights in the trigger",
        "definer_trigger_reachable",
        _NOTES
        + "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM public.notes; RETURN new; END';"
        "CREATE TRIGGER t AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION t(); GRANT ALL ON notes TO anon",
    ),
    FunctionShape(
        "another owner",
        "definer_owned_by_superuser",
        f"CREATE FUNCTION f() RETURNS int {_DEFINER} AS 'SELECT 1'; ALTER FUNCTION f OWNER TO service_role",
    ),
    FunctionShape(
        "a trigger function of a superuser",
        "definer_owned_by_superuser",
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN new; END'",
    ),
    FunctionShape(
        "the server's role bypasses",
        "api_role_bypasses_rls",
        "ALTER ROLE service_role BYPASSRLS",
        "ALTER ROLE service_role BYPASSRLS",
    ),
    FunctionShape(
        "a role that has nothing",
        "api_role_is_member",
        "CREATE ROLE readers_17; GRANT readers_17 TO anon",
        "DROP ROLE readers_17",
    ),
    FunctionShape(
        "the API's login is a member of its roles",
        "api_role_is_member",
        "CREATE ROLE authenticator_17 NOINHERIT LOGIN; GRANT anon, authenticated, service_role TO authenticator_17",
        "DROP ROLE authenticator_17",
    ),
    FunctionShape(
        "one of the API's roles is the other",
        "api_role_is_member",
        "GRANT anon TO authenticated",
        "REVOKE anon FROM authenticated",
    ),
    FunctionShape(
        "a membership that gives nothing",
        "api_role_is_member",
        "DO $$ BEGIN IF current_setting('server_version_num')::int >= 160000 THEN"
        " EXECUTE 'GRANT pg_read_all_data TO anon WITH INHERIT FALSE, SET FALSE'; END IF; END $$",
        "REVOKE pg_read_all_data FROM anon",
    ),
    FunctionShape("a fresh project", "api_role_may_log_in", "SELECT 1"),
    FunctionShape(
        "only reads",
        "default_privileges_open",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO anon",
    ),
    FunctionShape(
        "only the server",
        "default_privileges_open",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO service_role;"
        "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON ROUTINES TO service_role",
    ),
    FunctionShape(
        "another schema",
        "default_privileges_open",
        "CREATE SCHEMA inner_part; ALTER DEFAULT PRIVILEGES IN SCHEMA inner_part GRANT ALL ON TABLES TO anon",
    ),
    FunctionShape(
        "the server may create",
        "schema_create_granted",
        "GRANT CREATE ON SCHEMA public TO service_role; CREATE SCHEMA inner_part; GRANT ALL ON SCHEMA inner_part TO anon",
    ),
    FunctionShape("usage only", "sequence_open", "CREATE SEQUENCE s; GRANT USAGE, SELECT ON SEQUENCE s TO anon"),
    FunctionShape(
        "a schema that is not exposed",
        "sequence_open",
        "CREATE SCHEMA inner_part; GRANT USAGE ON SCHEMA inner_part TO anon; CREATE SEQUENCE inner_part.s; GRANT ALL ON SEQUENCE inner_part.s TO anon",
    ),
    FunctionShape(
        "policies are asked",
        "publication_without_rls",
        "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);GRANT SELECT ON notes TO anon; ALTER TABLE notes ENABLE ROW LEVEL SECURITY; CREATE PUBLICATION supabase_realtime FOR TABLE notes",
    ),
    FunctionShape(
        "callers may not read it",
        "publication_without_rls",
        "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);CREATE PUBLICATION supabase_realtime FOR TABLE notes",
    ),
    FunctionShape(
        "a publication for a warehouse",
        "publication_without_rls",
        "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);GRANT SELECT ON notes TO anon; CREATE PUBLICATION warehouse FOR TABLE notes",
    ),
    FunctionShape(
        "a public bucket without a policy",
        "bucket_public_listing",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);",
    ),
    FunctionShape(
        "a private bucket",
        "bucket_public_listing",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR SELECT USING (bucket_id = 'b')",
    ),
    FunctionShape(
        "the caller's own folder",
        "bucket_public_listing",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR SELECT TO authenticated USING (bucket_id = 'a' AND owner = auth.uid())",
    ),
    FunctionShape(
        "the server's policy",
        "bucket_public_listing",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR SELECT TO service_role USING (true)",
    ),
    FunctionShape(
        "one folder",
        "bucket_public_listing",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR SELECT USING (bucket_id = 'a' AND name LIKE 'public/%')",
    ),
    FunctionShape(
        "restricted for all",
        "bucket_public_listing",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR SELECT USING (true); CREATE POLICY r ON storage.objects AS RESTRICTIVE USING (owner = auth.uid())",
    ),
    FunctionShape(
        "a quote in the name",
        "bucket_public_listing",
        "INSERT INTO storage.buckets (id, public) VALUES ('it''s', true), ('it', true);CREATE POLICY p ON storage.objects FOR SELECT USING (bucket_id = 'x''s')",
    ),
    FunctionShape(
        "those who signed up add files",
        "bucket_open_writes",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR INSERT TO authenticated WITH CHECK (bucket_id = 'a')",
    ),
    FunctionShape(
        "owners change their own files",
        "bucket_open_writes",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR UPDATE USING (bucket_id = 'a' AND owner = (SELECT auth.uid())); CREATE POLICY d ON storage.objects FOR DELETE USING (bucket_id = 'a' AND owner = auth.uid())",
    ),
    FunctionShape(
        "members decide",
        "bucket_open_writes",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE FUNCTION is_member(b text) RETURNS bool LANGUAGE sql AS 'SELECT auth.uid() IS NOT NULL'; CREATE POLICY p ON storage.objects FOR ALL USING (bucket_id = 'a' AND is_member(bucket_id))",
    ),
    FunctionShape(
        "only reading",
        "bucket_open_writes",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects FOR SELECT USING (true)",
    ),
    FunctionShape(
        "the privileges are revoked",
        "bucket_open_writes",
        "INSERT INTO storage.buckets (id, name, public) VALUES ('a', 'a', true), ('b', 'b', false);CREATE POLICY p ON storage.objects USING (true); REVOKE ALL ON storage.objects FROM anon, authenticated",
    ),
    FunctionShape(
        "the extension is not there",
        "graphql_open",
        "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);GRANT SELECT ON notes TO anon",
    ),
    FunctionShape(
        "its schema is closed",
        "graphql_open",
        "CREATE SCHEMA graphql; CREATE FUNCTION graphql.resolve(query text) RETURNS jsonb LANGUAGE sql AS $$SELECT '{}'::jsonb$$;CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);GRANT SELECT ON notes TO anon",
    ),
    FunctionShape(
        "no table can be selected",
        "graphql_open",
        "CREATE SCHEMA graphql; CREATE FUNCTION graphql.resolve(query text) RETURNS jsonb LANGUAGE sql AS $$SELECT '{}'::jsonb$$;CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);GRANT USAGE ON SCHEMA graphql TO anon",
    ),
    FunctionShape(
        "row level security is on",
        "queue_open",
        "CREATE SCHEMA pgmq; CREATE TABLE pgmq.meta (queue_name text); CREATE TABLE pgmq.q_mails (msg_id bigint, message jsonb);GRANT USAGE ON SCHEMA pgmq TO anon; GRANT ALL ON pgmq.q_mails TO anon; ALTER TABLE pgmq.q_mails ENABLE ROW LEVEL SECURITY",
    ),
    FunctionShape(
        "the worker's privileges",
        "queue_open",
        "CREATE SCHEMA pgmq; CREATE TABLE pgmq.meta (queue_name text); CREATE TABLE pgmq.q_mails (msg_id bigint, message jsonb);GRANT USAGE ON SCHEMA pgmq TO service_role, anon; GRANT ALL ON pgmq.q_mails TO service_role",
    ),
    FunctionShape(
        "the schema is closed",
        "queue_open",
        "CREATE SCHEMA pgmq; CREATE TABLE pgmq.meta (queue_name text); CREATE TABLE pgmq.q_mails (msg_id bigint, message jsonb);GRANT ALL ON pgmq.q_mails TO anon",
    ),
    FunctionShape(
        "a table about queues",
        "queue_open",
        "CREATE SCHEMA pgmq; CREATE TABLE pgmq.meta (queue_name text); CREATE TABLE pgmq.q_mails (msg_id bigint, message jsonb);GRANT USAGE ON SCHEMA pgmq TO anon; GRANT SELECT ON pgmq.meta TO anon",
    ),
    FunctionShape(
        "a schema of its own",
        "extension_in_exposed_schema",
        "CREATE SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions",
    ),
    FunctionShape(
        "it has no functions",
        "extension_in_exposed_schema",
        "CREATE EXTENSION tsm_system_rows SCHEMA public; ALTER EXTENSION tsm_system_rows DROP FUNCTION system_rows(internal)",
    ),
    FunctionShape("they exist and are not exposed", "system_schema_exposed", "CREATE SCHEMA vault"),
    FunctionShape("a name that is not there", "system_schema_exposed", "SELECT 1", schemas=("public", "vault")),
    FunctionShape(
        "an index leads with it",
        "unindexed_foreign_key",
        "CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (id int PRIMARY KEY, a int REFERENCES authors); CREATE INDEX ON n (a, id)",
    ),
    FunctionShape(
        "it is the primary key",
        "unindexed_foreign_key",
        "CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (a int PRIMARY KEY REFERENCES authors)",
    ),
    FunctionShape(
        "the columns lead in another order",
        "unindexed_foreign_key",
        "CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (x int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES authors (id, b)); CREATE INDEX ON n (b, a)",
    ),
    FunctionShape(
        "an index without NULL",
        "unindexed_foreign_key",
        'CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (x int PRIMARY KEY, "A" int REFERENCES authors); CREATE INDEX ON n ("A") WHERE "A" IS NOT NULL',
    ),
    FunctionShape(
        "a partition has what its table has",
        "unindexed_foreign_key",
        "CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (x int, a int REFERENCES authors) PARTITION BY LIST (x); CREATE TABLE n1 PARTITION OF n FOR VALUES IN (1); CREATE INDEX ON n (a)",
    ),
    FunctionShape(
        "a partition",
        "no_primary_key",
        "CREATE TABLE n (x int PRIMARY KEY) PARTITION BY LIST (x); CREATE TABLE n1 PARTITION OF n FOR VALUES IN (1)",
    ),
    FunctionShape("a view", "no_primary_key", "CREATE VIEW v AS SELECT 1 AS a"),
    FunctionShape(
        "another order",
        "duplicate_index",
        "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);CREATE INDEX ON notes (body); CREATE INDEX ON notes (body DESC); CREATE INDEX ON notes (body, owner); CREATE INDEX ON notes (lower(body))",
    ),
    FunctionShape(
        "another condition, method or operators",
        "duplicate_index",
        "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);CREATE INDEX ON notes (body); CREATE INDEX ON notes (body) WHERE id > 1; CREATE INDEX ON notes USING hash (body); CREATE INDEX ON notes (body text_pattern_ops)",
    ),
    FunctionShape(
        "two constraints",
        "duplicate_index",
        "CREATE TABLE notes (id int PRIMARY KEY, owner uuid, body text);ALTER TABLE notes ADD UNIQUE (id)",
    ),
    FunctionShape("the newest version", "extension_outdated", "CREATE EXTENSION pg_trgm"),
    FunctionShape(
        "the primary key of auth",
        "foreign_key_to_auth_unique",
        "CREATE TABLE p (id uuid PRIMARY KEY REFERENCES auth.users)",
    ),
    FunctionShape(
        "a unique key of yours",
        "foreign_key_to_auth_unique",
        "CREATE TABLE authors (id int PRIMARY KEY, b int, UNIQUE (id, b));CREATE TABLE n (a int, b int, FOREIGN KEY (a, b) REFERENCES authors (id, b))",
    ),
    FunctionShape(
        "types that are kept", "unsupported_reg_type", "CREATE TABLE j (a regclass, b regtype, c regrole, d oid)"
    ),
    # more
]


@pytest.mark.parametrize("shape", SAFE, ids=lambda shape: f"{shape.rule}: {shape.name}")
async def test_a_safe_shape_is_passed_over(scanned: ScannedDatabase, shape: FunctionShape) -> None:
    assert await list_severities(scanned, shape) == []
