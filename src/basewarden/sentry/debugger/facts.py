"""What decides about a table's rows: row level security, policies, rights of roles, and what a write runs."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, Literal

import msgspec

from basewarden.errors import NotFound
from basewarden.sentry.debugger.errors import TrialFailed
from basewarden.sentry.policies.shape import PolicyShape, assess_expression
from basewarden.sentry.scans.asking import Asked, ask
from pgrest import DbConnection, Statement, quote_name

_SECONDS: Final = 3.0
_MOST_BYTES: Final = 2_000_000
"""A page shows all of it."""
# The role is the member's, where the owner has set one; the login may become others. Superusers pass every policy.
# A write to a table is one to its partitions and to tables that inherit from it: their triggers run, too.
_FACTS: Final = """
WITH RECURSIVE wanted AS (
  SELECT c.oid, c.relname::text AS name, n.nspname::text AS schema, n.oid AS space, c.relkind, c.relrowsecurity,
    c.relforcerowsecurity, c.relowner, pg_get_userbyid(c.relowner)::text AS owner
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
), whole AS (
  SELECT w.oid FROM wanted w UNION SELECT i.inhrelid FROM whole h JOIN pg_inherits i ON i.inhparent = h.oid
), become AS (
  SELECT CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END AS right_name,
    coalesce($3::text, current_user::text) AS base
), shown AS (
  SELECT r.oid, r.rolname::text AS name, r.rolbypassrls AS bypasses, NOT r.rolsuper
    AND (r.rolname = current_user OR pg_has_role(current_user, r.oid, b.right_name)) AS may_try
  FROM pg_roles r, become b
  WHERE r.rolname IN ('anon', 'authenticated') OR (NOT r.rolsuper AND r.rolname !~ '^pg_'
    AND (r.rolname = current_user OR pg_has_role(current_user, r.oid, b.right_name)) AND (r.rolname = b.base
      OR pg_has_role((SELECT m.oid FROM pg_roles m WHERE m.rolname = b.base), r.oid, 'MEMBER')))
  ORDER BY array_position(ARRAY['anon', 'authenticated'], r.rolname::text), r.rolname LIMIT 40
)
SELECT json_build_object(
  'schema', w.schema, 'name', w.name, 'kind', w.relkind, 'owner', w.owner, 'has_rls', w.relrowsecurity,
  'forces_rls', w.relforcerowsecurity, 'base_passes',
    NOT w.relrowsecurity OR (SELECT r.rolsuper OR r.rolbypassrls
      OR (NOT w.relforcerowsecurity AND pg_has_role(r.oid, w.relowner, 'USAGE'))
      FROM pg_roles r, become b WHERE r.rolname = b.base),
  'policies', (SELECT coalesce(json_agg(json_build_object('name', p.polname, 'command',
      CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete'
        ELSE 'all' END, 'is_permissive', p.polpermissive, 'using', pg_get_expr(p.polqual, p.polrelid),
      'check', pg_get_expr(p.polwithcheck, p.polrelid),
      'roles', ARRAY(SELECT CASE m WHEN 0 THEN 'public' ELSE pg_get_userbyid(m)::text END FROM unnest(p.polroles) AS m),
      'applies_to', ARRAY(SELECT t.name FROM shown t WHERE EXISTS (SELECT FROM unnest(p.polroles) AS m
        WHERE m = 0 OR pg_has_role(t.oid, m, 'USAGE')))) ORDER BY p.polpermissive DESC, p.polname), '[]')
    FROM pg_policy p WHERE p.polrelid = w.oid),
  'columns', (SELECT coalesce(json_agg(json_build_object('name', a.attname, 'is_not_null', a.attnotnull,
      'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
      'is_filled', a.attgenerated <> '' OR a.attidentity = 'a')
      ORDER BY a.attnum), '[]')
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'roles', (SELECT coalesce(json_agg(json_build_object('name', t.name, 'may_try', t.may_try,
      'may_enter', has_schema_privilege(t.oid, w.space, 'USAGE'), 'bypasses', t.bypasses, 'passes', t.bypasses
        OR NOT w.relrowsecurity OR (NOT w.relforcerowsecurity AND pg_has_role(t.oid, w.relowner, 'USAGE')),
      'rights', array_remove(ARRAY[
        CASE WHEN has_table_privilege(t.oid, w.oid, 'SELECT') THEN 'select' END,
        CASE WHEN has_table_privilege(t.oid, w.oid, 'INSERT') THEN 'insert' END,
        CASE WHEN has_table_privilege(t.oid, w.oid, 'UPDATE') THEN 'update' END,
        CASE WHEN has_table_privilege(t.oid, w.oid, 'DELETE') THEN 'delete' END,
        CASE WHEN has_table_privilege(t.oid, w.oid, 'TRUNCATE') THEN 'truncate' END,
        CASE WHEN has_table_privilege(t.oid, w.oid, 'REFERENCES') THEN 'references' END,
        CASE WHEN has_table_privilege(t.oid, w.oid, 'TRIGGER') THEN 'trigger' END], NULL),
      'columns', (SELECT json_build_object(
          'select', array_agg(a.attname) FILTER (WHERE has_column_privilege(t.oid, w.oid, a.attnum, 'SELECT')),
          'insert', array_agg(a.attname) FILTER (WHERE has_column_privilege(t.oid, w.oid, a.attnum, 'INSERT')),
          'update', array_agg(a.attname) FILTER (WHERE has_column_privilege(t.oid, w.oid, a.attnum, 'UPDATE')))
        FROM (SELECT a.attname::text, a.attnum FROM pg_attribute a WHERE a.attrelid = w.oid AND a.attnum > 0
          AND NOT a.attisdropped ORDER BY a.attnum) AS a))
      ORDER BY array_position(ARRAY['anon', 'authenticated'], t.name), t.name), '[]') FROM shown t),
  'triggers', (SELECT coalesce(json_agg(json_build_object('name', t.tgname, 'function', f.nspname || '.' || p.proname,
      'is_before', t.tgtype & 2 = 2, 'commands', array_remove(ARRAY[CASE WHEN t.tgtype & 4 = 4 THEN 'insert' END,
        CASE WHEN t.tgtype & 16 = 16 THEN 'update' END, CASE WHEN t.tgtype & 8 = 8 THEN 'delete' END], NULL))
      ORDER BY t.tgname), '[]')
    FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace f ON f.oid = p.pronamespace
    WHERE t.tgrelid IN (SELECT h.oid FROM whole h) AND NOT t.tgisinternal AND t.tgparentid = 0
      AND t.tgenabled IN ('O', 'A')),
  'rules', (SELECT coalesce(json_agg(CASE r.ev_type WHEN '2' THEN 'update' WHEN '3' THEN 'insert'
      ELSE 'delete' END), '[]')
    FROM pg_rewrite r WHERE r.ev_class = w.oid AND r.ev_type IN ('2', '3', '4')),
  'cascades', (SELECT coalesce(json_agg(DISTINCT k.conrelid::regclass::text), '[]') FROM pg_constraint k
    WHERE k.contype = 'f' AND k.confrelid IN (SELECT h.oid FROM whole h) AND k.confdeltype IN ('c', 'n', 'd')),
  'update_cascades', (SELECT coalesce(json_agg(DISTINCT k.conrelid::regclass::text), '[]') FROM pg_constraint k
    WHERE k.contype = 'f' AND k.confrelid IN (SELECT h.oid FROM whole h) AND k.confupdtype IN ('c', 'n', 'd'))
) FROM wanted w
"""

MOST_LISTED: Final = 1_000
_TABLES: Final = f"""
SELECT json_build_object('schema', n.nspname, 'name', c.relname, 'has_rls', c.relrowsecurity,
  'policies', (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema' AND strpos(lower(n.nspname || '.' || c.relname), lower($1)) > 0
  AND has_schema_privilege(n.oid, 'USAGE')
ORDER BY n.nspname <> 'public', n.nspname, c.relname LIMIT {MOST_LISTED}
"""


class ListedTable(msgspec.Struct, frozen=True):
    schema: str
    name: str
    has_rls: bool
    policies: int


class DebuggedPolicy(msgspec.Struct, frozen=True):
    """`roles` are those that it names, `applies_to` those of the roles that can be tried."""

    name: str
    command: Literal["select", "insert", "update", "delete", "all"]
    is_permissive: bool
    using: str | None
    check: str | None
    roles: tuple[str, ...]
    applies_to: tuple[str, ...]

    def applies(self, role: str, command: str) -> bool:
        return role in self.applies_to and self.command in (command, "all")

    @property
    def new_row_check(self) -> str | None:
        """What a row must meet that is added or changed."""
        return self.check if self.check is not None else self.using


class DebuggedColumn(msgspec.Struct, frozen=True):
    """`default` is its expression; `is_filled`: no one may set it."""

    name: str
    is_not_null: bool
    default: str | None
    is_filled: bool


class DebuggedRole(msgspec.Struct, frozen=True):
    """`may_try`: the login may become it. `passes`: no policy is asked, for `bypasses` or as the table's owner.

    `rights` are on the whole table, `columns` name those that each right has.
    """

    name: str
    may_try: bool
    may_enter: bool
    passes: bool
    bypasses: bool
    rights: tuple[str, ...]
    columns: dict[str, tuple[str, ...] | None]

    def list_columns(self, command: str) -> Sequence[str]:
        return self.columns.get(command) or ()


class DebuggedTrigger(msgspec.Struct, frozen=True):
    name: str
    function: str
    is_before: bool
    commands: tuple[str, ...]


class DebuggedTable(msgspec.Struct, frozen=True, dict=True):
    """`base_passes`: no policy keeps rows from members' own requests.

    `rules` are commands that are rewritten, `cascades` tables whose rows a delete changes or deletes too,
    `update_cascades` those whose rows a new key changes.
    """

    schema: str
    name: str
    kind: str
    owner: str
    has_rls: bool
    forces_rls: bool
    base_passes: bool | None
    policies: tuple[DebuggedPolicy, ...]
    columns: tuple[DebuggedColumn, ...]
    roles: tuple[DebuggedRole, ...]
    triggers: tuple[DebuggedTrigger, ...]
    rules: tuple[str, ...]
    cascades: tuple[str, ...]
    update_cascades: tuple[str, ...]

    @property
    def sql_name(self) -> str:
        return quote_name((self.schema, self.name))

    @cached_property
    def not_null(self) -> frozenset[str]:
        return frozenset(one.name for one in self.columns if one.is_not_null)

    @cached_property
    def columns_by_name(self) -> Mapping[str, DebuggedColumn]:
        return {one.name: one for one in self.columns}

    @property
    def tried_roles(self) -> Sequence[DebuggedRole]:
        """Those that a person may be."""
        return [one for one in self.roles if one.may_try]

    def find_role(self, name: str) -> DebuggedRole | None:
        return next((one for one in self.tried_roles if one.name == name), None)

    def list_triggers(self, command: str) -> Sequence[DebuggedTrigger]:
        return [one for one in self.triggers if command in one.commands]

    def runs_code(self, command: str) -> bool:
        """Whether a write runs code of the project that may reach beyond the transaction."""
        is_rewritten = command in self.rules
        return bool(self.list_triggers(command)) or is_rewritten or bool(self.list_cascades(command))

    def list_cascades(self, command: str) -> Sequence[str]:
        """Tables whose rows change with it."""
        return {"delete": self.cascades, "update": self.update_cascades}.get(command, ())

    def list_policies(self, role: str, command: str) -> Sequence[DebuggedPolicy]:
        return [one for one in self.policies if one.applies(role, command)]

    def assess(self, expression: str) -> PolicyShape:
        return assess_expression(expression, self.not_null)


_decode = msgspec.json.Decoder(DebuggedTable).decode

_decode_listed = msgspec.json.Decoder(ListedTable).decode


async def list_tables(connection: DbConnection, text: str) -> Sequence[ListedTable]:
    """Those whose names contain `text`, of `public` first. Raises DatabaseError."""
    (rows,) = await ask(connection, _SECONDS, [Statement(_TABLES, (text.encode(),))])
    return [_decode_listed(row[0] or b"") for row in rows.rows]


async def load_table(connection: Asked, schema: str, name: str, member_role: str | None) -> DebuggedTable:
    """`member_role` is the role that the owner has set for requests. Raises NotFound, TrialFailed and DatabaseError."""
    role = member_role.encode() if member_role is not None else None
    (rows,) = await ask(connection, _SECONDS, [Statement(_FACTS, (schema.encode(), name.encode(), role))])
    if not rows.rows:
        raise NotFound("There is no such table. Views have no row level security of their own.")
    text = rows.rows[0][0] or b""
    if len(text) > _MOST_BYTES:
        raise TrialFailed(f"Its policies and columns are too long to be shown: {len(text):,} bytes.")
    return _decode(text)
