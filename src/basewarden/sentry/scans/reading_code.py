"""What reading an object runs: functions in policies, in views below views, and in what the planner evaluates.

A caller's role protects nothing from them: a function may RESET ROLE, and then has the rights of the login.
"""

from dataclasses import dataclass
from typing import Final

from basewarden.sentry.rule import ScannedObject
from basewarden.sentry.scans.asking import ask
from basewarden.sentry.scans.running import Acquire
from pgrest import Statement

_SECONDS: Final = 2.0
# pg_depend does not list what PostgreSQL was made with.
_CODE: Final = """
WITH RECURSIVE wanted AS (
  SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = $1 AND c.relname = $2
), login AS (
  SELECT r.oid, r.rolsuper FROM pg_roles r WHERE r.rolname = current_user
), trusted AS (
  SELECT r.oid, r.rolsuper OR r.oid = l.oid AS is_safe FROM pg_roles r, login l
  WHERE pg_has_role(r.oid, l.oid, 'MEMBER')
    OR r.rolname IN ('supabase_admin', 'supabase_auth_admin', 'supabase_storage_admin')
    OR (r.rolcreaterole AND NOT l.rolsuper AND current_setting('server_version_num')::int < 160000)
), reached(class, object, by_policy) AS (
  SELECT 'pg_class'::regclass::oid, w.oid, false FROM wanted w
  UNION
  SELECT n.class, n.object, f.by_policy OR n.class = 'pg_policy'::regclass FROM reached f CROSS JOIN LATERAL (
    SELECT d.refclassid AS class, d.refobjid AS object FROM pg_depend d WHERE d.classid = f.class AND d.objid = f.object
      AND (d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) OR (f.class <> 'pg_class'::regclass
        AND d.refclassid IN ('pg_class'::regclass, 'pg_type'::regclass)))
    UNION ALL SELECT 'pg_class'::regclass, i.inhrelid FROM pg_inherits i
      WHERE f.class = 'pg_class'::regclass AND i.inhparent = f.object
    UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index i
      WHERE f.class = 'pg_class'::regclass AND i.indrelid = f.object
    UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s
      WHERE f.class = 'pg_class'::regclass AND s.stxrelid = f.object
    UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p
      WHERE f.class = 'pg_class'::regclass AND p.polrelid = f.object
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN pg_class v ON v.oid = r.ev_class
      WHERE f.class = 'pg_class'::regclass AND r.ev_class = f.object AND v.relkind = 'v'
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
      WHERE f.class = 'pg_type'::regclass AND k.contypid = f.object
  ) AS n
), functions AS (
  SELECT n.nspname || '.' || f.proname AS name, f.proowner AS owner, r.by_policy FROM reached r
  JOIN pg_proc f ON r.class = 'pg_proc'::regclass AND f.oid = r.object JOIN pg_namespace n ON n.oid = f.pronamespace
)
SELECT (SELECT min(f.name) FROM functions f WHERE f.owner NOT IN (SELECT t.oid FROM trusted t)),
  EXISTS (SELECT FROM wanted w WHERE w.relkind NOT IN ('r', 'p') OR NOT row_security_active(w.oid))
  AND NOT EXISTS (SELECT FROM functions f WHERE NOT f.by_policy
    AND f.owner NOT IN (SELECT t.oid FROM trusted t WHERE t.is_safe))
  AND NOT EXISTS (SELECT FROM reached r JOIN pg_class c ON r.class = 'pg_class'::regclass AND c.oid = r.object
    WHERE c.relkind IN ('v', 'f') AND NOT r.by_policy
    AND c.relowner NOT IN (SELECT t.oid FROM trusted t WHERE t.is_safe))
"""
"""Trusted are superusers, the login itself, who may become it, and Supabase's own roles. As the login, nothing runs but
what superusers and it have made, and policies."""


@dataclass(frozen=True, slots=True)
class ReadingCode:
    """`untrusted` is a function of another role; `is_countable`: the login may count the rows."""

    untrusted: str | None
    is_countable: bool


async def find_reading_code(acquire: Acquire, found: ScannedObject) -> ReadingCode:
    """Raises DatabaseError and PgrestError."""
    async with acquire() as connection:
        names = (found.schema.encode(), found.name.encode())
        (rows,) = await ask(connection, _SECONDS, [Statement(_CODE, names)])
    name, is_countable = rows.rows[0]
    return ReadingCode(None if name is None else name.decode(), is_countable == b"t")
