"""What differs between two structures: in words, as SQL, and whether that SQL makes one of the other."""

from typing import Any

import psycopg
import pytest

from basewarden.sentry.history.comparing import compare_structures
from basewarden.sentry.history.reading import read_structure, widen_xid
from basewarden.sentry.history.statements import write_change
from basewarden.sentry.history.structure import (
    Facts,
    ItemKey,
    ItemKind,
    Structure,
    StructureNotKept,
    decode_structure,
    encode_structure,
)
from basewarden.sentry.history.wording import describe_briefly, describe_change
from basewarden.sentry.scans.asking import ask
from pgrest import DatabaseError, Statement
from tests.fixtures.postgres import PostgresServer
from tests.sentry.conftest import ScannedDatabase, open_pool

COLUMN = ItemKey(ItemKind.COLUMN, "public", "people", "email")
TABLE = ItemKey(ItemKind.TABLE, "public", "people")
POLICY = ItemKey(ItemKind.POLICY, "public", "people", "own")
FUNCTION = ItemKey(ItemKind.FUNCTION, "public", "f", "a integer")
GRANT = ItemKey(ItemKind.GRANT, "public", "people", "", "table", "anon")
COLUMN_GRANT = ItemKey(ItemKind.GRANT, "public", "people", "email", "column", "")
CALL = ItemKey(ItemKind.GRANT, "public", "f", "a integer", "routine", "")
DEFAULTS = ItemKey(ItemKind.DEFAULT_GRANT, "public", "postgres", "tables", "", "anon")
HOSTILE = 'a"b\n; DROP TABLE x; --'
TEXT = {"type": "text", "is_required": False}
READ = {"command": "SELECT", "is_permissive": True, "roles": [None], "using": "true"}
SQL = {"form": "function", "parameters": "a integer", "returns": "void", "language": "sql", "is_definer": False}

CASES: list[tuple[str, ItemKey, Facts | None, Facts | None, str, str]] = [
    (
        "a column", COLUMN, None, TEXT, "Column email of public.people was added: text.",
        'ALTER TABLE "public"."people" ADD COLUMN "email" text;',
    ),
    (
        "a column is gone", COLUMN, TEXT, None, "Column email of public.people was removed.",
        'ALTER TABLE "public"."people" DROP COLUMN "email";',
    ),
    (
        "a type and a null", COLUMN, TEXT, {"type": "citext", "is_required": True},
        "Column email of public.people: the type changed from text to citext; null is no longer allowed.",
        """ALTER TABLE "public"."people" ALTER COLUMN "email" TYPE citext;
ALTER TABLE "public"."people" ALTER COLUMN "email" SET NOT NULL;""",
    ),
    (
        "row level security", TABLE, {"has_rls": True}, {"has_rls": False},
        "Table public.people: row level security is off.",
        'ALTER TABLE "public"."people" DISABLE ROW LEVEL SECURITY;',
    ),
    (
        "an owner", TABLE, {"owner": "a"}, {"owner": HOSTILE},
        f"Table public.people: the owner changed from a to {HOSTILE}.",
        'ALTER TABLE "public"."people" OWNER TO "a""b\n; DROP TABLE x; --";',
    ),
    (
        "a policy", POLICY, None, READ, "Policy own of public.people was added for SELECT, to PUBLIC.",
        'CREATE POLICY "own" ON "public"."people" AS PERMISSIVE FOR SELECT TO PUBLIC USING (true);',
    ),
    (
        "another policy", POLICY, READ, {**READ, "using": "false"},
        "Policy own of public.people: which rows it lets see changed.",
        """DROP POLICY "own" ON "public"."people";
CREATE POLICY "own" ON "public"."people" AS PERMISSIVE FOR SELECT TO PUBLIC USING (false);""",
    ),
    (
        "a grant", GRANT, None, {"rights": ["INSERT", "SELECT"], "grantable": []},
        "anon may now INSERT and SELECT on table public.people.",
        'GRANT INSERT, SELECT ON TABLE "public"."people" TO "anon";',
    ),
    (
        "a smaller grant", GRANT, {"rights": ["INSERT", "SELECT"], "grantable": []}, {"rights": ["SELECT"], "grantable": []},
        "anon may no longer INSERT on table public.people.",
        'REVOKE INSERT ON TABLE "public"."people" FROM "anon";',
    ),
    (
        "a grant option", GRANT, {"rights": ["SELECT"], "grantable": []}, {"rights": ["SELECT"], "grantable": ["SELECT"]},
        "anon may now grant its rights to others on table public.people.",
        'GRANT SELECT ON TABLE "public"."people" TO "anon" WITH GRANT OPTION;',
    ),
    (
        "a grant on a column", COLUMN_GRANT, None, {"rights": ["SELECT"], "grantable": []},
        "PUBLIC may now SELECT on column email of public.people.",
        'GRANT SELECT ("email") ON TABLE "public"."people" TO PUBLIC;',
    ),
    (
        "a call", CALL, {"rights": ["EXECUTE"], "grantable": []}, None,
        "PUBLIC may no longer EXECUTE on function public.f(a integer).",
        'REVOKE EXECUTE ON ROUTINE "public"."f"(a integer) FROM PUBLIC;',
    ),
    (
        "default privileges", DEFAULTS, None, {"rights": ["SELECT"], "grantable": []},
        "anon may now SELECT on tables that postgres will create in public.",
        'ALTER DEFAULT PRIVILEGES FOR ROLE "postgres" IN SCHEMA "public" GRANT SELECT ON TABLES TO "anon";',
    ),
    (
        "a function with its owner's rights", FUNCTION, SQL, {**SQL, "is_definer": True},
        "Function public.f(a integer): it runs with its owner's rights.",
        'ALTER FUNCTION "public"."f"(a integer) SECURITY DEFINER;',
    ),
    (
        "a body", ItemKey(ItemKind.FUNCTION, "public", HOSTILE), {**SQL, "body": "1"}, {**SQL, "body": "2"},
        f"Function public.{HOSTILE}(): its body changed.",
        '-- CREATE OR REPLACE FUNCTION "public"."a""b ; DROP TABLE x; --"(): another body. Bodies of functions are not kept.',
    ),
    (
        "a label", ItemKey(ItemKind.TYPE, "public", "mood"), {"form": "enum", "labels": ["a"]},
        {"form": "enum", "labels": ["a", "it's"]}, "Enum type public.mood: added the label it's.",
        """ALTER TYPE "public"."mood" ADD VALUE 'it''s';""",
    ),
    (
        "an index", ItemKey(ItemKind.INDEX, "public", "people", "by_email"), {"definition": "CREATE INDEX by_email ON a"},
        None, "Index by_email of public.people was removed.", 'DROP INDEX "public"."by_email";',
    ),
    (
        "an extension", ItemKey(ItemKind.EXTENSION, "public", "citext"), {"version": "1.5"}, {"version": "1.6"},
        "Extension citext: the version changed from 1.5 to 1.6.", """ALTER EXTENSION "citext" UPDATE TO '1.6';""",
    ),
    (
        "a view", ItemKey(ItemKind.VIEW, "public", "v"), {"form": "view", "definition": " SELECT 1;"},
        {"form": "view", "definition": " SELECT 2;"}, "View public.v: its definition changed.",
        'CREATE OR REPLACE VIEW "public"."v" AS\n SELECT 2;',
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "old", "new", "sentence", "sql"), [case[1:] for case in CASES], ids=[one[0] for one in CASES]
)
def test_a_change_in_words_and_as_sql(
    key: ItemKey, old: Facts | None, new: Facts | None, sentence: str, sql: str
) -> None:
    before, after = ({key: facts} if facts is not None else {} for facts in (old, new))
    (change,) = compare_structures(before, after)
    assert (describe_change(change), write_change(change)) == (sentence, sql)
    assert compare_structures(after, after) == []


def test_a_table_comes_and_goes_as_one_change() -> None:
    structure: dict[ItemKey, dict[str, Any]] = {
        TABLE: {"form": "table", "has_rls": False},
        COLUMN: TEXT,
        ItemKey(ItemKind.CONSTRAINT, "public", "people", "pk"): {"definition": "PRIMARY KEY (email)"},
        POLICY: READ,
        GRANT: {"rights": ["SELECT"], "grantable": []},
    }
    added = compare_structures({}, structure)
    assert [describe_change(one) for one in added] == [
        "Table public.people was added with 1 column, row level security off.",
        "Policy own of public.people was added for SELECT, to PUBLIC.",
        "anon may now SELECT on table public.people.",
    ]
    assert write_change(added[0]).startswith(
        'CREATE TABLE "public"."people" (\n  "email" text,\n  CONSTRAINT "pk" PRIMARY'
    )
    assert [write_change(one) for one in compare_structures(structure, {})] == ['DROP TABLE "public"."people";']


def test_a_structure_is_stored_and_read_again() -> None:
    structure: Structure = {key: old or new or {} for _, key, old, new, *_ in CASES}
    assert decode_structure(encode_structure(structure)) == structure


def test_a_zero_byte_is_no_answer_of_a_postgresql() -> None:
    assert encode_structure({TABLE: {"owner": "\\u0000"}})
    with pytest.raises(StructureNotKept):
        encode_structure({TABLE: {"owner": "\\\0"}})


@pytest.mark.parametrize(
    ("xmin", "next_xid", "xid"), [(5, 9, 5), (7, (3 << 32) + 9, (3 << 32) + 7), (99, (3 << 32) + 9, (2 << 32) + 99)]
)
def test_an_xmin_is_the_last_such_transaction(xmin: int, next_xid: int, xid: int) -> None:
    assert widen_xid(xmin, next_xid) == xid


BEFORE = """
CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('low', 'high'); CREATE DOMAIN shop.code AS text CHECK (VALUE <> '');
CREATE TABLE shop.people (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, email text, mood shop.mood, old int);
CREATE TABLE shop.orders (id bigserial PRIMARY KEY, person int, total numeric(8, 2) DEFAULT 0 NOT NULL);
CREATE TABLE shop.gone (id int); CREATE INDEX by_email ON shop.people (email); CREATE VIEW shop.names AS SELECT email FROM shop.people;
CREATE POLICY own ON shop.people USING (id > 1); GRANT ALL ON shop.people TO anon; GRANT SELECT ON shop.gone TO anon;
CREATE TABLE shop."a""b; --" ("x""y" text);
"""
AFTER = """
DROP TABLE shop.gone; ALTER TYPE shop.mood ADD VALUE 'odd''s'; DROP INDEX shop.by_email; DROP VIEW shop.names;
ALTER TABLE shop.people DROP COLUMN old, ALTER email TYPE varchar(90), ALTER email SET NOT NULL, ALTER email SET DEFAULT 'a''b';
ALTER TABLE shop.people ENABLE ROW LEVEL SECURITY; ALTER TABLE shop.people FORCE ROW LEVEL SECURITY;
DROP POLICY own ON shop.people;
CREATE POLICY own ON shop.people AS RESTRICTIVE FOR UPDATE TO anon, authenticated USING (id > 2) WITH CHECK (email <> '');
CREATE POLICY "p""q" ON shop.orders FOR INSERT WITH CHECK (true); REVOKE INSERT, DELETE ON shop.people FROM anon;
GRANT SELECT (total) ON shop.orders TO anon; GRANT SELECT ON shop.orders TO authenticated WITH GRANT OPTION;
ALTER TABLE shop.orders ADD CONSTRAINT by_person FOREIGN KEY (person) REFERENCES shop.people ON DELETE CASCADE;
ALTER TABLE shop.orders ADD CONSTRAINT "not""less" CHECK (total >= 0), ALTER total DROP DEFAULT;
CREATE UNIQUE INDEX "i""j" ON shop.orders (person) WHERE total > 1;
CREATE TABLE shop.logs (at timestamptz NOT NULL, what text, n int GENERATED ALWAYS AS (1 + 1) STORED) PARTITION BY RANGE (at);
CREATE TABLE shop.logs_1 PARTITION OF shop.logs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW shop.totals WITH (security_invoker = true) AS SELECT person, sum(total) AS total FROM shop.orders GROUP BY person;
CREATE MATERIALIZED VIEW shop.stored AS SELECT 1 AS one; CREATE SEQUENCE shop.numbers AS int START 5;
CREATE DOMAIN shop.tag AS varchar(9) NOT NULL DEFAULT 'x'; CREATE TYPE shop.pair AS (a int, "b c" text);
GRANT USAGE ON SCHEMA shop TO anon; ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO anon;
ALTER TABLE shop."a""b; --" ADD COLUMN "z'; --" int; GRANT SELECT ON shop."a""b; --" TO PUBLIC;
"""


async def test_the_sql_of_all_changes_makes_the_one_schema_of_the_other(
    scanned: ScannedDatabase, postgres: PostgresServer, supabase_template: str
) -> None:
    other = await postgres.create_database(supabase_template)
    try:
        async with await psycopg.AsyncConnection.connect(other, autocommit=True) as admin, open_pool(other) as acquire:
            for run in (scanned.run, lambda script: admin.execute(script.encode())):
                await run(BEFORE)
            await scanned.run(AFTER)
            async with scanned.acquire() as one, acquire() as two:
                wanted, found = await read_structure(one), await read_structure(two)
                changes = compare_structures(found.structure, wanted.structure)
                for change in changes:
                    await admin.execute(write_change(change).encode())
                left = compare_structures((await read_structure(two)).structure, wanted.structure)
        assert len(changes) > 25
        assert decode_structure(encode_structure(wanted.structure)) == wanted.structure
        assert [(describe_change(one), one.old, one.new) for one in left] == []
    finally:
        await postgres.drop_database(other)


async def test_no_value_of_a_row_is_in_a_structure(scanned: ScannedDatabase) -> None:
    await scanned.run(
        "CREATE TABLE people (email text); INSERT INTO people VALUES ('ada@secret.example'); ANALYZE people;"
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$SELECT 'in-the-body'$$"
    )
    async with scanned.acquire() as connection:
        structure = (await read_structure(connection)).structure
    assert ItemKey(ItemKind.COLUMN, "public", "people", "email") in structure
    assert "secret" not in str(structure)
    assert "in-the-body" not in str(structure)


async def test_objects_of_extensions_are_left_out(scanned: ScannedDatabase) -> None:
    await scanned.run(
        "CREATE TABLE part (id int PRIMARY KEY); CREATE FUNCTION part() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "ALTER EXTENSION plpgsql ADD TABLE part; ALTER EXTENSION plpgsql ADD FUNCTION part()"
    )
    async with scanned.acquire() as connection:
        structure = (await read_structure(connection)).structure
    assert ItemKey(ItemKind.EXTENSION, "pg_catalog", "plpgsql") in structure
    assert not [key for key in structure if key.name == "part"]


async def test_secrets_are_not_kept_and_their_changes_show(scanned: ScannedDatabase) -> None:
    """As a webhook of Supabase has them in the arguments of its trigger, and others where they were pasted."""
    secret = "sb_secret_" + "Zx8Qw2Lk9Vb4Nm7Rt1Yp"
    when = "AFTER INSERT ON jobs FOR EACH ROW WHEN (NEW.key <> 'EXECUTE FUNCTION send(''') EXECUTE FUNCTION send"
    await scanned.run(
        f"""CREATE FUNCTION send() RETURNS trigger LANGUAGE plpgsql SET app.key = 'mine-1' SET search_path = '' AS
        $$ BEGIN RETURN NEW; END $$; CREATE TABLE jobs (id int, key text DEFAULT '{secret}');
        CREATE TRIGGER hook {when}('https://hook.example', '', 'Bearer it''s \\ "ä"');
        CREATE TRIGGER plain AFTER DELETE ON jobs EXECUTE FUNCTION send();
        CREATE POLICY p ON jobs USING (key = '{secret}'); CREATE VIEW v AS SELECT '{secret}'::text AS k"""
    )
    async with scanned.acquire() as connection:
        before = (await read_structure(connection)).structure
        for hidden in (secret, "Bearer", "hook.example", "mine-1"):
            assert hidden not in repr(before), hidden
        assert "sb_sec" in repr(before)
        hook = before[ItemKey(ItemKind.TRIGGER, "public", "jobs", "hook")]["definition"]
        assert hook.endswith("EXECUTE FUNCTION public.send(…)"), hook
        assert "WHEN" in hook
        plain = before[ItemKey(ItemKind.TRIGGER, "public", "jobs", "plain")]["definition"]
        assert plain.endswith("EXECUTE FUNCTION public.send()"), plain
        await scanned.run(
            f"""ALTER TABLE jobs ALTER key SET DEFAULT '{secret}2'; ALTER FUNCTION send() SET app.key = 'mine-2';
            DROP TRIGGER hook ON jobs; CREATE TRIGGER hook {when}('https://hook.example', '', 'Bearer other')"""
        )
        changes = compare_structures(before, (await read_structure(connection)).structure)
    assert {change.key.part or change.key.name for change in changes} == {"key", "send", "hook"}
    for change in changes:
        text = describe_change(change) + write_change(change)
        for hidden in (secret, "Bearer", "mine-"):
            assert hidden not in text, text


async def test_a_locked_table_is_not_waited_for(scanned: ScannedDatabase) -> None:
    """The texts of views lock tables until the end, and who waits for these holds up all other requests."""
    async with scanned.acquire() as connection:
        (rows,) = await ask(connection, 20.0, [Statement("SELECT current_setting('lock_timeout')")])
        assert rows.rows[0][0] == b"500ms"
        await scanned.run("CREATE TABLE busy (id int); CREATE VIEW v AS SELECT id FROM busy")
        async with await psycopg.AsyncConnection.connect(scanned.dsn) as other:
            await other.execute("LOCK TABLE busy")
            with pytest.raises(DatabaseError) as refused:
                await read_structure(connection)
    assert refused.value.sqlstate == "55P03"


async def test_a_trigger_that_rests_but_in_replication_is_disabled(scanned: ScannedDatabase) -> None:
    await scanned.run(
        "CREATE TABLE notes (id int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER note BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION note()"
    )
    async with scanned.acquire() as connection:
        before = (await read_structure(connection)).structure
        await scanned.run("ALTER TABLE notes ENABLE REPLICA TRIGGER note")
        changes = compare_structures(before, (await read_structure(connection)).structure)
    assert [describe_change(one) for one in changes] == ["Trigger note of public.notes: it is disabled."]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (COLUMN, "column email of people was added"),
        (POLICY._replace(part=HOSTILE), "a policy of people was added"),
        (COLUMN._replace(name=HOSTILE), "column email of a table was added"),
        (FUNCTION, "function f was added"),
        (FUNCTION._replace(name="evil.example"), "a function was added"),
        (ItemKey(ItemKind.SCHEMA, "private", ""), "schema private was added"),
        (ItemKey(ItemKind.EXTENSION, "", HOSTILE), "an extension was added"),
        (GRANT, "rights on table people changed"),
        (COLUMN_GRANT, "rights on table people changed"),
        (CALL._replace(name="a b"), "rights on a function changed"),
        (DEFAULTS, "default privileges changed"),
    ],
)
def test_a_message_has_no_value_and_no_name_that_is_no_word(key: ItemKey, said: str) -> None:
    (change,) = compare_structures({}, {key: {"type": HOSTILE, "definition": HOSTILE, "rights": [HOSTILE]}})
    assert describe_briefly(change) == said
