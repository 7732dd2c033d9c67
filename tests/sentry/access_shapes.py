"""Random states of access, and what the catalog says of a whole database."""

from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any

from psycopg.errors import InsufficientPrivilege, InvalidGrantOperation

from basewarden.sentry.access.state import AccessKey, AccessKind
from tests.sentry.conftest import ScannedDatabase

HOSTILE = "odd \"; DROP TABLE x; -- \\ 'ü"
GRANTORS = ("sentry_grants", "sentry grants; -- too")
ROLES = ("anon", "authenticated", "service_role", *GRANTORS)
MAKE_ROLE = "DO $$ BEGIN CREATE ROLE {}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
_COLUMN = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
DUMP = """
SELECT 'class' AS what, c.oid::regclass::text AS name, c.relowner::regrole::text AS owner, c.relrowsecurity::text AS a,
  c.relforcerowsecurity::text AS b, c.reloptions::text AS c, c.relacl::text[] AS acl, c.relacl IS NULL AS is_default,
  acldefault(CAST(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END AS "char"), c.relowner)::text[] AS standard
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('public', 'storage', 'other')
UNION ALL SELECT 'column', a.attrelid::regclass::text || '.' || a.attname, '', a.attnum::text, '', '',
  a.attacl::text[], a.attacl IS NULL, '{}'
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('public', 'storage', 'other') AND NOT a.attisdropped
UNION ALL SELECT 'routine', p.oid::regprocedure::text, p.proowner::regrole::text, pg_get_functiondef(p.oid),
  p.proconfig::text, '', p.proacl::text[], p.proacl IS NULL, acldefault('f', p.proowner)::text[]
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('public', 'other')
UNION ALL SELECT 'policy', p.polname, p.polrelid::regclass::text, p.polcmd::text || p.polpermissive::text
    || p.polroles::regrole[]::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
  ARRAY[obj_description(p.oid, 'pg_policy')], false, '{}' FROM pg_policy p
UNION ALL SELECT 'schema', n.nspname, n.nspowner::regrole::text, '', '', '', n.nspacl::text[], n.nspacl IS NULL,
  acldefault('n', n.nspowner)::text[] FROM pg_namespace n
UNION ALL SELECT 'view', v.oid::regclass::text, pg_get_viewdef(v.oid), '', '', '', '{}', false, '{}'
FROM pg_class v WHERE v.relkind IN ('v', 'm')
UNION ALL SELECT 'bucket', b.id, '', b.public::text, '', '', '{}', false, '{}' FROM storage.buckets b
ORDER BY 1, 2, 3, 4
"""
OBJECTS = (
    AccessKey(AccessKind.TABLE, "public", "notes"),
    AccessKey(AccessKind.TABLE, "public", HOSTILE),
    AccessKey(AccessKind.TABLE, "public", "parts"),
    AccessKey(AccessKind.VIEW, "public", "shown"),
    AccessKey(AccessKind.MATERIALIZED_VIEW, "public", "stored"),
    AccessKey(AccessKind.SEQUENCE, "public", "counter"),
    AccessKey(AccessKind.FUNCTION, "public", "twice", "n integer, VARIADIC more text[]"),
)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def make_objects(database: ScannedDatabase, owner: str | None = None) -> None:
    """What is to be closed and given back; the superuser's, or another role's."""
    for role in ("service_role", *map(quote, GRANTORS)):
        await database.run(MAKE_ROLE.format(role))
    table = quote(HOSTILE)
    script = f"""
      CREATE TABLE notes (id int PRIMARY KEY, {table} text, secret text);
      INSERT INTO notes SELECT n, 'x', 'y' FROM generate_series(1, 3) AS n;
      CREATE TABLE {table} (id int, {table} text);
      CREATE TABLE parts (id int, body text) PARTITION BY RANGE (id);
      CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10);
      CREATE VIEW shown AS SELECT * FROM notes; CREATE MATERIALIZED VIEW stored AS SELECT * FROM notes;
      CREATE SEQUENCE counter;
      CREATE FUNCTION twice(n int, VARIADIC more text[]) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
      CREATE FUNCTION reads_notes() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM notes';
    """
    for statement in filter(str.strip, script.split(";\n")):
        await database.run(statement)
    if owner is not None:
        for kind, name in (
            ("TABLE", "notes"),
            ("TABLE", table),
            ("TABLE", "parts"),
            ("TABLE", "part"),
            ("VIEW", "shown"),
            ("MATERIALIZED VIEW", "stored"),
            ("SEQUENCE", "counter"),
            ("ROUTINE", "twice"),
            ("ROUTINE", "reads_notes"),
        ):
            await database.run(f"ALTER {kind} {name} OWNER TO {owner}")


async def shuffle_access(database: ScannedDatabase, random: Random, key: AccessKey, owner: str) -> None:
    """Some grants and revokes, by the owner and by others; for tables policies and switches."""
    name = f"public.{quote(key.name)}"
    kind = {AccessKind.SEQUENCE: "SEQUENCE", AccessKind.FUNCTION: "ROUTINE"}.get(key.kind, "TABLE")
    if key.kind is AccessKind.FUNCTION:
        name = "public.twice"
    for _ in range(random.randrange(14)):
        await _grant(database, random, key, f"{kind} {name}", owner)
    if key.kind is AccessKind.TABLE:
        await _add_policies(database, random, name)
    if key.kind is AccessKind.VIEW and random.random() < 0.5:
        await database.run(f"ALTER VIEW {name} SET (security_invoker = {random.choice(('on', 'true'))})")
    if key.kind is AccessKind.FUNCTION and random.random() < 0.5:
        await database.run(f"ALTER ROUTINE {name} SET search_path = public, {quote(HOSTILE)}, ''")
        await database.run(f"ALTER ROUTINE {name} SET work_mem = '1MB'")


async def _grant(database: ScannedDatabase, random: Random, key: AccessKey, on: str, owner: str) -> None:
    rights = {AccessKind.SEQUENCE: ("SELECT", "UPDATE", "USAGE"), AccessKind.FUNCTION: ("EXECUTE",)}.get(
        key.kind, _TABLE
    )
    chosen = random.sample(rights, random.randint(1, min(3, len(rights))))
    columns = {"notes": ["id", HOSTILE, "secret"], HOSTILE: ["id", HOSTILE]}.get(key.name)
    if columns and random.random() < 0.4:
        column = quote(random.choice(columns))
        chosen = [f"{one} ({column})" for one in random.sample(_COLUMN, random.randint(1, 2))]
    grantor = random.choice((owner, owner, *map(quote, GRANTORS)))
    to = random.choice(("PUBLIC", *map(quote, ROLES)))
    if random.random() < 0.2:
        sql = f"REVOKE {', '.join(chosen)} ON {on} FROM {to} CASCADE"
    else:
        option = " WITH GRANT OPTION" if to != "PUBLIC" and random.random() < 0.5 else ""
        sql = f"GRANT {', '.join(chosen)} ON {on} TO {to}{option}"
    await database.run(f"SET ROLE {grantor}")
    with suppress(InsufficientPrivilege, InvalidGrantOperation):  # who may not grant it, does not
        await database.run(sql)
    await database.run("RESET ROLE")


async def _add_policies(database: ScannedDatabase, random: Random, name: str) -> None:
    for number in range(random.randrange(3)):
        policy = quote(f"{HOSTILE} {number}")
        command = random.choice(("ALL", "SELECT", "UPDATE"))
        roles = ", ".join(random.sample(["anon", "authenticated", *map(quote, GRANTORS)], 2))
        kind = random.choice(("PERMISSIVE", "RESTRICTIVE"))
        to = random.choice(("PUBLIC", roles))
        check = "" if command == "SELECT" else f" WITH CHECK (id > {number})"
        using = "id = ANY (ARRAY[1, 2]) AND auth.uid() IS NULL"
        await database.run(f"CREATE POLICY {policy} ON {name} AS {kind} FOR {command} TO {to} USING ({using}){check}")
        await database.run(f"COMMENT ON POLICY {policy} ON {name} IS 'it\\''s'" if number else "SELECT 1")
    if random.random() < 0.5:
        await database.run(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    if random.random() < 0.5:
        await database.run(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")


async def dump(database: ScannedDatabase) -> list[tuple[Any, ...]]:
    await database.run("SET search_path = pg_catalog")
    rows: Sequence[tuple[Any, ...]] = await (await database.admin.execute(DUMP.encode())).fetchall()
    await database.run("RESET search_path")
    return list(rows)


def as_sets(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The order of grants is nothing, and the default written out is the default."""
    return [(*row[:6], frozenset(row[8] if row[7] else row[6])) for row in rows]
