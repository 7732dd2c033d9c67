"""What the probes must know of a table: how to fill a row of it, whose it is, and what a write runs."""

import re
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Final

import msgspec

from basewarden.sentry.debugger.errors import TrialFailed
from basewarden.sentry.debugger.facts import DebuggedTable, load_table
from basewarden.sentry.policies.facts import is_owner_name
from basewarden.sentry.scans.asking import Asked, ask
from pgrest import Statement

FACTS_SECONDS: Final = 2.0
_MOST_BYTES: Final = 1_000_000
_TEXTS: Final = frozenset({"text", "varchar", "bpchar"})
_IDS: Final = _TEXTS | {"uuid"}
# Only the time of a change, in columns of the row that is written: nothing else happens, but for a cast to their types.
_STAMP: Final = (
    r"^\s*begin\s+(new\.\"?[a-z_][a-z0-9_]*\"?\s*:?=\s*(now\(\)|current_timestamp|clock_timestamp\(\)"
    r"|timezone\(\'utc\'(::text)?,\s*now\(\)\))\s*;\s*)+return\s+new\s*;\s*end\s*;?\s*$"
).replace("\\'", "''")
# pg_depend does not list what PostgreSQL was made with. Operator classes and base types are made by superusers only.
_FACTS: Final = f"""
WITH RECURSIVE wanted AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
), whole AS (
  SELECT w.oid FROM wanted w UNION SELECT i.inhrelid FROM whole h JOIN pg_inherits i ON i.inhparent = h.oid
), cascades(oid, command, does) AS (
  SELECT h.oid, c.command, c.does FROM whole h
  CROSS JOIN (VALUES ('delete', 'delete'), ('key', 'update')) AS c(command, does)
  UNION
  SELECT k.conrelid, f.command, CASE WHEN f.does = 'delete' AND k.confdeltype = 'c' THEN 'delete' ELSE 'update' END
  FROM cascades f JOIN pg_constraint k ON k.contype = 'f' AND k.confrelid = f.oid
    AND CASE f.does WHEN 'delete' THEN k.confdeltype ELSE k.confupdtype END IN ('c', 'n', 'd')
), trusted AS (
  SELECT r.oid, r.rolname = current_user OR r.rolsuper AS is_safe FROM pg_roles r WHERE r.rolname = current_user
    OR r.rolsuper OR r.rolname IN ('supabase_admin', 'supabase_auth_admin', 'supabase_storage_admin')
), users AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = 'auth' AND c.relname = 'users'
), fired AS (
  SELECT t.tgrelid, t.tgname::text AS name, t.tgtype, t.tgenabled::text AS enabled,
    f.proowner IN (SELECT r.oid FROM trusted r WHERE r.is_safe) AND t.tgqual IS NULL AND NOT EXISTS (
      SELECT FROM pg_attribute a JOIN pg_cast k ON k.casttarget = a.atttypid JOIN pg_proc o ON o.oid = k.castfunc
      WHERE a.attrelid = t.tgrelid AND o.proowner NOT IN (SELECT r.oid FROM trusted r WHERE r.is_safe)) AND (
      (l.lanname IN ('internal', 'c') AND f.proname IN ('moddatetime', 'suppress_redundant_updates_trigger',
        'tsvector_update_trigger', 'tsvector_update_trigger_column'))
      OR (l.lanname = 'plpgsql' AND f.proconfig IS NULL AND lower(f.prosrc) ~ '{_STAMP}')) AS is_harmless
  FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_language l ON l.oid = f.prolang
  WHERE t.tgrelid IN (SELECT f.oid FROM cascades f) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
), used(part, class, object) AS (
  SELECT s.part, s.class, s.object FROM (
    SELECT 'row' AS part, 'pg_class'::regclass::oid AS class, h.oid AS object FROM whole h
    UNION ALL SELECT 'row', 'pg_class'::regclass, i.indexrelid FROM pg_index i
      WHERE i.indrelid IN (SELECT h.oid FROM whole h)
    UNION ALL SELECT 'row', 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s
      WHERE s.stxrelid IN (SELECT h.oid FROM whole h)
    UNION ALL SELECT 'row', 'pg_constraint'::regclass, k.oid FROM pg_constraint k
      WHERE k.conrelid IN (SELECT h.oid FROM whole h)
    UNION ALL SELECT CASE WHEN a.attgenerated = '' THEN 'default ' || a.attname ELSE 'row' END,
        'pg_attrdef'::regclass, d.oid
      FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
      WHERE d.adrelid IN (SELECT h.oid FROM whole h)
    UNION ALL SELECT 'policy', 'pg_policy'::regclass, p.oid FROM pg_policy p
      WHERE p.polrelid IN (SELECT w.oid FROM wanted w)
  ) AS s
  UNION
  SELECT u.part, n.class, n.object FROM used u CROSS JOIN LATERAL (
    SELECT d.refclassid AS class, d.refobjid AS object FROM pg_depend d
    WHERE d.classid = u.class AND d.objid = u.object AND (d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass,
        'pg_type'::regclass) OR (d.refclassid = 'pg_class'::regclass
        AND u.class IN ('pg_policy'::regclass, 'pg_rewrite'::regclass)))
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
      WHERE u.class = 'pg_type'::regclass AND k.contypid = u.object
    UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p
      WHERE u.part = 'policy' AND u.class = 'pg_class'::regclass AND p.polrelid = u.object
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r
      WHERE u.part = 'policy' AND u.class = 'pg_class'::regclass AND r.ev_class = u.object
  ) AS n
), drawing AS (
  SELECT u.part, d.objid AS type FROM used u JOIN pg_proc f ON u.class = 'pg_proc'::regclass AND f.oid = u.object
  JOIN pg_language l ON l.oid = f.prolang LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass
    AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = f.oid
  WHERE f.provolatile = 'v' AND l.lanname NOT IN ('internal', 'c')
)
SELECT json_build_object(
  'columns', (SELECT coalesce(json_agg(json_build_object('name', a.attname,
      'type', format_type(b.oid, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END),
      'kind', CASE WHEN b.typtype = 'e' THEN 'enum' WHEN b.typcategory = 'A' THEN 'array'
        WHEN b.typnamespace = 'pg_catalog'::regnamespace THEN b.typname ELSE '' END,
      'size', CASE WHEN b.typname IN ('varchar', 'bpchar') THEN greatest(0,
        CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END - 4) ELSE 0 END,
      'label', (SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder LIMIT 1),
      'is_not_null', a.attnotnull OR t.typnotnull,
      'has_default', a.atthasdef OR t.typdefault IS NOT NULL,
      'is_sequence', a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) ~ '^nextval\\(', false),
      'is_generated', a.attgenerated <> '',
      'draws', coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault, '') ~ '\\m(nextval|setval)\\('
        OR EXISTS (SELECT FROM drawing r WHERE r.part = 'default ' || a.attname)
        OR (d.oid IS NULL AND t.typdefault IS NOT NULL AND EXISTS (SELECT FROM drawing r WHERE r.type = t.oid)),
      'is_unique', EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique
        AND a.attnum = ANY(i.indkey::int2[]))) ORDER BY a.attnum), '[]')
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'keys', (SELECT coalesce(json_agg(json_build_object('columns', ARRAY(SELECT a.attname FROM unnest(k.conkey)
        WITH ORDINALITY AS m(n, i) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = m.n ORDER BY m.i),
      'schema', n.nspname, 'table', c.relname, 'others', ARRAY(SELECT a.attname FROM unnest(k.confkey)
        WITH ORDINALITY AS m(n, i) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = m.n ORDER BY m.i),
      'is_users', k.confrelid IN (SELECT u.oid FROM users u) OR EXISTS (SELECT FROM pg_constraint o
        WHERE o.contype = 'f' AND o.conrelid = k.confrelid AND o.conkey = k.confkey
        AND o.confrelid IN (SELECT u.oid FROM users u))) ORDER BY k.oid), '[]')
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype = 'f' AND k.conrelid = w.oid),
  'checks', (SELECT coalesce(json_agg(json_build_object('column', a.attname,
      'name', k.conname, 'text', pg_get_constraintdef(k.oid))), '[]')
    FROM pg_attribute a JOIN pg_constraint k ON k.contype = 'c'
      AND ((k.conrelid = a.attrelid AND a.attnum = ANY(k.conkey)) OR (k.contypid = a.atttypid AND k.contypid <> 0))
    WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'triggers', (SELECT coalesce(json_agg(json_build_object('name', f.name, 'enabled', f.enabled, 'commands', ARRAY(
      SELECT c.command FROM (VALUES ('insert', 4), ('update', 16), ('delete', 8)) AS c(command, bit)
        WHERE f.tgtype & c.bit <> 0 AND f.tgrelid IN (SELECT h.oid FROM whole h)
      UNION SELECT c.command FROM cascades c WHERE c.oid = f.tgrelid
        AND f.tgtype & CASE c.does WHEN 'delete' THEN 8 ELSE 16 END <> 0
    ), 'is_harmless', f.is_harmless) ORDER BY f.name), '[]') FROM fired f),
  'followed', ARRAY(SELECT DISTINCT a.attname FROM pg_constraint k JOIN pg_attribute a
    ON a.attrelid = k.confrelid AND a.attnum = ANY(k.confkey)
    WHERE k.contype = 'f' AND k.confrelid IN (SELECT h.oid FROM whole h) AND k.confupdtype IN ('c', 'n', 'd')),
  'has_rules', EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class IN (SELECT f.oid FROM cascades f)
    AND r.ev_type <> '1' AND r.ev_enabled <> 'D'),
  'is_elsewhere', EXISTS (SELECT FROM pg_class c WHERE c.relkind = 'f' AND c.oid IN (SELECT f.oid FROM cascades f)),
  'untrusted', (SELECT coalesce(json_agg(DISTINCT jsonb_build_object('part', u.part,
      'function', n.nspname || '.' || f.proname)), '[]')
    FROM used u JOIN pg_proc f ON u.class = 'pg_proc'::regclass AND f.oid = u.object
    JOIN pg_namespace n ON n.oid = f.pronamespace
    WHERE NOT EXISTS (SELECT FROM trusted r WHERE r.oid = f.proowner AND (r.is_safe OR u.part = 'policy')))
) FROM wanted w
"""
"""Whose functions are trusted: the login's own and superusers'. A policy runs as the caller, and in each request: there
those of Supabase's own roles are trusted, too."""


class ProbedColumn(msgspec.Struct, frozen=True):
    """`kind` is the built-in type below a domain, "enum", "array", or "" for types of others. `size` 0 is no limit.

    `draws`: its default takes a number of a sequence, or runs a function of the project that may.
    """

    name: str
    type: str
    kind: str
    size: int
    label: str | None
    is_not_null: bool
    has_default: bool
    is_sequence: bool
    is_generated: bool
    is_unique: bool
    draws: bool

    @property
    def is_text(self) -> bool:
        return self.kind in _TEXTS

    @property
    def may_hold_user(self) -> bool:
        return self.kind in _IDS and not self.is_generated and (not self.size or self.size >= 36)


class ProbedKey(msgspec.Struct, frozen=True):
    """A foreign key. `is_users`: what it refers to is a user's id, of auth.users or of a table that refers to it."""

    columns: tuple[str, ...]
    schema: str
    table: str
    others: tuple[str, ...]
    is_users: bool


class ColumnCheck(msgspec.Struct, frozen=True):
    column: str
    name: str
    text: str


class ProbedTrigger(msgspec.Struct, frozen=True):
    """`commands` are those on the table that fire it, also by cascades; "key" changes a column that others follow.

    `enabled` as in pg_trigger.
    """

    name: str
    commands: frozenset[str]
    enabled: str
    is_harmless: bool


class UntrustedFunction(msgspec.Struct, frozen=True):
    """`part` is "row" for what every new row is checked with, "policy", or "default" with the column's name."""

    part: str
    function: str


class ProbedFacts(msgspec.Struct, frozen=True):
    """`followed` are columns whose new value changes rows of other tables."""

    columns: tuple[ProbedColumn, ...]
    keys: tuple[ProbedKey, ...]
    checks: tuple[ColumnCheck, ...]
    triggers: tuple[ProbedTrigger, ...]
    followed: tuple[str, ...]
    has_rules: bool
    is_elsewhere: bool
    untrusted: tuple[UntrustedFunction, ...]


class ProbedTable(msgspec.Struct, frozen=True, dict=True):
    table: DebuggedTable
    facts: ProbedFacts

    @cached_property
    def owner_columns(self) -> Sequence[str]:
        """Where it is written whose a row is: what policies compare with the caller, and keys to users; or by name."""
        compared = {name for text in self._expressions for name in self.table.assess(text).compared}
        users = {key.columns[0] for key in self.facts.keys if key.is_users and len(key.columns) == 1}
        linked = {name for key in self.facts.keys for name in key.columns} - users
        able = [one.name for one in self.facts.columns if one.may_hold_user and one.name not in linked]
        proved = [name for name in able if name in compared or name in users]
        return proved or [name for name in able if is_owner_name(name)]

    @property
    def _expressions(self) -> Sequence[str]:
        return [text for one in self.table.policies for text in (one.using, one.check) if text]

    def find_column(self, name: str) -> ProbedColumn:
        return next(one for one in self.facts.columns if one.name == name)

    def explain_default(self, name: str) -> str | None:
        """Why the column's default must not be evaluated; None where it may be."""
        if any(one.part == f"default {name}" for one in self.facts.untrusted):
            return "A default would run a function whose owner is another role."
        column = self.find_column(name)
        is_lasting = column.is_sequence or column.draws
        return "A default would use up a number of a sequence, or run a function that may." if is_lasting else None

    def explain_code(self, command: str, changed: Sequence[str] = ()) -> str | None:
        """Why nothing is tried as a caller: it would run code that may reach beyond the transaction.

        `changed` are columns that get another value. A row that changes its partition is deleted and inserted.
        """
        commands = {command}
        if command == "update" and self.table.kind == "p":
            commands |= {"insert", "delete"}
        if not set(self.facts.followed).isdisjoint(changed):
            commands.add("key")
        return self._explain_triggers(commands, "OA") or self._explain_rest("policy", "row")

    def explain_bringing(self, *, is_replica: bool) -> str | None:
        """Why no row is brought: something of the project would run as the login."""
        reason = self._explain_triggers({"insert"}, "AR" if is_replica else "OA")
        if reason is not None:
            return reason
        if not self.table.base_passes:
            return "Policies of the table hold for the login, too."
        return self._explain_rest("row")

    @property
    def is_read_safely(self) -> bool:
        """Whether a query of the login runs nothing of other roles: the planner evaluates what indexes are made of."""
        return self.table.base_passes is True and self._explain_rest("row") is None

    def _explain_triggers(self, commands: Collection[str], states: str) -> str | None:
        fired = (one for one in self.facts.triggers if one.enabled in states and not one.commands.isdisjoint(commands))
        name = next((one.name for one in fired if not one.is_harmless), None)
        return None if name is None else f"It would run the trigger {name}."

    def _explain_rest(self, *parts: str) -> str | None:
        if self.facts.has_rules:
            return "It would run a rewrite rule."
        if self.facts.is_elsewhere:
            return "A part of it is on another server."
        name = next((one.function for one in self.facts.untrusted if one.part in parts), None)
        return None if name is None else f"It would run the function {name}, whose owner is another role."


_decode = msgspec.json.Decoder(ProbedFacts).decode


async def load_probed(asked: Asked, schema: str, name: str) -> ProbedTable:
    """Raises NotFound, TrialFailed and DatabaseError."""
    table = await load_table(asked, schema, name, None)
    (rows,) = await ask(asked, FACTS_SECONDS, [Statement(_FACTS, (schema.encode(), name.encode()))])
    text = rows.rows[0][0] or b""
    if len(text) > _MOST_BYTES:
        raise TrialFailed(f"Its columns and triggers are too many to be tried: {len(text):,} bytes.")
    return ProbedTable(table, _decode(text))


_STRINGS: Final = re.compile(r"'((?:[^']|'')*)'")
_NUMBERS: Final = re.compile(r"(?<![\w.'])-?\d+(?:\.\d+)?(?![\w'])")


def list_constants(probed: ProbedTable, column: str) -> tuple[list[str], list[str]]:
    """Texts and numbers that a column's checks name, of which one may be right."""
    texts = [one.text for one in probed.facts.checks if one.column == column]
    strings = [found.replace("''", "'") for text in texts for found in _STRINGS.findall(text)]
    return strings, [found for text in texts for found in _NUMBERS.findall(_STRINGS.sub("", text))]
