"""What a change of a bucket would run: triggers and rules of storage.buckets, with the rights of the login."""

from collections.abc import Sequence
from typing import Final

from basewarden.sentry.access.reading import READ_SECONDS
from basewarden.sentry.access.restoring import RestoreStep
from basewarden.sentry.access.state import AccessKind, AccessState
from basewarden.sentry.changes.transaction import ChangeTransaction
from basewarden.sentry.errors import LoginMayNot
from basewarden.sentry.scans.asking import ask
from pgrest import Statement

_LOCK: Final = RestoreStep("LOCK TABLE storage.buckets IN ROW EXCLUSIVE MODE")
"""From here on no other one is added."""
_CODE: Final = Statement("""
WITH RECURSIVE buckets AS (
  SELECT c.oid, n.nspowner FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.oid = 'storage.buckets'::regclass
), trusted AS (
  SELECT r.oid FROM pg_roles r WHERE r.rolsuper OR r.rolname = current_user
    OR r.rolname IN ('supabase_admin', 'supabase_storage_admin') OR r.oid IN (SELECT b.nspowner FROM buckets b)
), parts(class, object) AS (
  SELECT 'pg_trigger'::regclass, t.oid FROM pg_trigger t JOIN buckets b ON b.oid = t.tgrelid
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 16 = 16
  UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k JOIN buckets b ON b.oid = k.conrelid
  UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index i JOIN buckets b ON b.oid = i.indrelid
  UNION ALL SELECT 'pg_attrdef'::regclass, d.oid FROM pg_attrdef d JOIN buckets b ON b.oid = d.adrelid
  UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid FROM pg_statistic_ext s JOIN buckets b ON b.oid = s.stxrelid
  UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN buckets b ON b.oid = p.polrelid
    WHERE row_security_active(b.oid)
  UNION ALL SELECT 'pg_type'::regclass, a.atttypid FROM pg_attribute a JOIN buckets b ON b.oid = a.attrelid
    WHERE a.attnum > 0
), used(class, object) AS (
  SELECT p.class::oid, p.object FROM parts p
  UNION SELECT n.class, n.object FROM used u CROSS JOIN LATERAL (
    SELECT d.refclassid AS class, d.refobjid AS object FROM pg_depend d WHERE d.classid = u.class AND d.objid = u.object
      AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass, 'pg_type'::regclass)
    UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k
      WHERE u.class = 'pg_type'::regclass AND k.contypid = u.object) AS n
)
SELECT 'the function ' || n.nspname || '.' || f.proname FROM used u
JOIN pg_proc f ON u.class = 'pg_proc'::regclass AND f.oid = u.object JOIN pg_namespace n ON n.oid = f.pronamespace
WHERE f.proowner NOT IN (SELECT t.oid FROM trusted t)
UNION SELECT 'the rewrite rule ' || r.rulename FROM pg_rewrite r JOIN buckets b ON b.oid = r.ev_class
WHERE r.ev_type = '2' AND r.ev_enabled <> 'D' ORDER BY 1 LIMIT 5
""")


async def check_bucket_code(transaction: ChangeTransaction, states: Sequence[AccessState], sql: str) -> None:
    """Raises LoginMayNot where a bucket's change would run another role's code, and DatabaseError."""
    if all(one.kind is not AccessKind.BUCKET for one in states):
        return
    await transaction.change([_LOCK])
    (rows,) = await ask(transaction, READ_SECONDS, [_CODE])
    found = [(row[0] or b"").decode() for row in rows.rows]
    if found:
        reasons = [f"It would run {one}, which another role may change, with the rights of the login." for one in found]
        raise LoginMayNot(reasons, sql)
