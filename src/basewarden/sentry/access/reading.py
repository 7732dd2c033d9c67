"""Reads from the catalog who may reach which object.

With each state comes its stamp: which versions of the catalog's rows it was read from. Before a transaction that
changed them commits, another connection reads the stamp again: if it is the same, nothing came in between.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from basewarden.sentry.access.state import AccessKey, AccessKind, AccessState
from pgrest import Rows, Statement

BUCKET_POLICY: Final = "basewarden quarantine "
"""What the names of policies begin with that close a bucket; a hash of the bucket's name follows."""
READ_SECONDS: Final = 10.0
OWN_SCHEMAS: Final = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"
_WITH: Final = """
WITH wanted AS (SELECT x ->> 0 AS kind, x ->> 1 AS schema, x ->> 2 AS name, coalesce(x ->> 3, '') AS arguments
  FROM json_array_elements(coalesce($1::json, '[]')) AS x),
kinds(code, word) AS (
  VALUES ('r', 'tables'), ('S', 'sequences'), ('f', 'routines'), ('T', 'types'), ('n', 'schemas'))"""
_IS_WANTED: Final = "($1::json IS NULL OR ({}) IN (SELECT w.kind, w.schema, w.name, w.arguments FROM wanted w))"


class _Source(NamedTuple):
    """One catalog: kind, schema, name and arguments of its rows, the state and the stamp of each."""

    key: tuple[str, str, str, str]
    facts: str
    stamp: str
    rows: str

    def select_states(self) -> str:
        kind, schema, name, arguments = self.key
        return (
            f"SELECT json_build_object('kind', {kind}, 'schema', {schema}, 'name', {name}, 'arguments', {arguments},"
            f" {self.facts}), {self.stamp} {self._from()}"
        )

    def select_stamps(self) -> str:
        return f"SELECT json_build_array({', '.join(self.key)}), {self.stamp} {self._from()}"

    def _from(self) -> str:
        kind, schema, name, arguments = self.key
        wanted = _IS_WANTED.format(f"{kind}, {schema}, {name}, coalesce({arguments}, '')")
        return f"{self.rows} AND {wanted}"


def _acl(column: str) -> str:
    """Each entry by itself, so that their order is kept."""
    return f"""(SELECT coalesce(json_agg(json_build_object('grantee', e.grantee, 'grantor', e.grantor,
    'rights', e.rights, 'grantable', coalesce(e.grantable, '{{}}')) ORDER BY e.place), '[]') FROM (
    SELECT i.place, CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee)::text END AS grantee,
      pg_get_userbyid(x.grantor)::text AS grantor, array_agg(x.privilege_type ORDER BY x.privilege_type) AS rights,
      array_agg(x.privilege_type ORDER BY x.privilege_type) FILTER (WHERE x.is_grantable) AS grantable
    FROM unnest({column}) WITH ORDINALITY AS i(item, place) CROSS JOIN LATERAL aclexplode(ARRAY[i.item]) AS x
    GROUP BY i.place, x.grantee, x.grantor) AS e)"""


_POLICIES: Final = """coalesce((SELECT json_agg(json_build_object('name', p.polname, 'command', CASE p.polcmd
    WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    'is_permissive', p.polpermissive, 'roles', (
      SELECT json_agg(CASE WHEN r.oid <> 0 THEN pg_get_userbyid(r.oid)::text END ORDER BY r.place)
      FROM unnest(p.polroles) WITH ORDINALITY AS r(oid, place)),
    'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'comment', obj_description(p.oid, 'pg_policy')) ORDER BY p.polname)
    FROM pg_policy p WHERE p.polrelid = {oid} {more}), '[]')"""

_RELATION_ACL: Final = """coalesce(c.relacl,
      acldefault(CAST(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END AS "char"), c.relowner))"""
_RELATIONS: Final = _Source(
    ("k.kind", "n.nspname", "c.relname", "NULL::text"),
    f"""'oid', c.oid::bigint, 'owner', pg_get_userbyid(c.relowner), 'is_default', c.relacl IS NULL, 'acl',
  {_acl(_RELATION_ACL)},
  'columns', coalesce((SELECT json_object_agg(a.attname, {_acl("a.attacl")}) FROM pg_attribute a
    WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attacl IS NOT NULL), '{{}}'),
  'has_rls', c.relrowsecurity, 'forces_rls', c.relforcerowsecurity,
  'policies', {_POLICIES.format(oid="c.oid", more="")}, 'options', coalesce(c.reloptions, '{{}}'),
  'replica_identity', CASE WHEN c.relkind IN ('r', 'p') THEN c.relreplident::text || coalesce((
    SELECT ':' || x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisreplident AND c.relreplident = 'i'), '') END""",
    """concat_ws(' ', c.xmin::text,
  (SELECT string_agg(a.attnum || ':' || a.xmin::text, ',' ORDER BY a.attnum) FROM pg_attribute a
    WHERE a.attrelid = c.oid),
  (SELECT string_agg(p.oid || ':' || p.xmin::text, ',' ORDER BY p.oid) FROM pg_policy p WHERE p.polrelid = c.oid))""",
    f"""FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN (VALUES ('r', 'table'), ('p', 'table'), ('f', 'foreign table'), ('v', 'view'), ('m', 'materialized view'),
  ('S', 'sequence')) AS k(relkind, kind) ON k.relkind = c.relkind::text
WHERE {OWN_SCHEMAS} AND c.relpersistence <> 't'""",
)
_ROUTINES: Final = _Source(
    ("'routine'", "n.nspname", "f.proname", "pg_get_function_identity_arguments(f.oid)"),
    f"""'oid', f.oid::bigint, 'owner', pg_get_userbyid(f.proowner), 'is_default', f.proacl IS NULL,
  'acl', {_acl("coalesce(f.proacl, acldefault('f', f.proowner))")}, 'options', coalesce(f.proconfig, '{{}}')""",
    "f.xmin::text",
    f"""FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
WHERE {OWN_SCHEMAS} AND f.prokind IN ('f', 'p')""",
)
_SCHEMAS: Final = _Source(
    ("'schema'", "''", "n.nspname", "NULL::text"),
    f"""'oid', n.oid::bigint, 'owner', pg_get_userbyid(n.nspowner), 'is_default', n.nspacl IS NULL,
  'acl', {_acl("coalesce(n.nspacl, acldefault('n', n.nspowner))")}""",
    "n.xmin::text",
    f"FROM pg_namespace n WHERE {OWN_SCHEMAS}",
)
_DEFAULT_ACL: Final = """coalesce(d.defaclacl, CASE WHEN p.space = 0
      THEN acldefault(CAST(CASE p.type WHEN 'S' THEN 's' ELSE p.type END AS "char"), p.role) ELSE '{}' END)"""
_DEFAULTS: Final = _Source(
    ("'default privileges'", "coalesce(n.nspname, '')", "pg_get_userbyid(p.role)", "k.word"),
    f"""'oid', 0, 'owner', pg_get_userbyid(p.role), 'is_default', d.oid IS NULL, 'acl', {_acl(_DEFAULT_ACL)}""",
    "coalesce(d.xmin::text, 'none')",
    """FROM (SELECT d.defaclrole AS role, d.defaclnamespace AS space, d.defaclobjtype::text AS type
    FROM pg_default_acl d WHERE $1::json IS NULL
  UNION SELECT r.oid, coalesce(m.oid, 0), c.code FROM wanted w JOIN pg_roles r ON r.rolname = w.name
    JOIN kinds c ON c.word = w.arguments LEFT JOIN pg_namespace m ON m.nspname = w.schema
    WHERE w.kind = 'default privileges') AS p
JOIN kinds k ON k.code = p.type LEFT JOIN pg_namespace n ON n.oid = p.space
LEFT JOIN pg_default_acl d ON d.defaclrole = p.role AND d.defaclnamespace = p.space AND d.defaclobjtype::text = p.type
WHERE true""",
)
"""Those that are wanted by name are there also where the catalog has no row of them."""
_BUCKET: Final = _Source(
    ("'bucket'", "''", "b.id", "NULL::text"),
    f"""'oid', c.oid::bigint, 'owner', pg_get_userbyid(c.relowner), 'has_rls', c.relrowsecurity, 'is_public', b.public,
  'policies', {_POLICIES.format(oid="c.oid", more="AND p.polname = $2::text || md5(b.id)")}""",
    "b.xmin::text",
    "FROM storage.buckets b JOIN pg_class c ON c.oid = 'storage.objects'::regclass WHERE $2::text <> ''",
)
_CATALOGS: Final = (_RELATIONS, _ROUTINES, _SCHEMAS, _DEFAULTS)
_STATES: Final = f"{_WITH} {' UNION ALL '.join(one.select_states() for one in _CATALOGS)}"
_STAMPS: Final = f"{_WITH} {' UNION ALL '.join(one.select_stamps() for one in _CATALOGS)}"
_BUCKET_STATES: Final = f"{_WITH} {_BUCKET.select_states()}"
_BUCKET_STAMPS: Final = f"{_WITH} {_BUCKET.select_stamps()}"


def read_states(keys: Sequence[AccessKey] | None, *, buckets: bool = False) -> Statement:
    """All but buckets, or these alone. Without `keys`, all that the project has. Expects the catalog's search path."""
    return _make(_BUCKET_STATES if buckets else _STATES, keys, buckets=buckets)


def read_stamps(keys: Sequence[AccessKey], *, buckets: bool = False) -> Statement:
    """Waits for no lock, as reading the states may."""
    return _make(_BUCKET_STAMPS if buckets else _STAMPS, keys, buckets=buckets)


def decode_states(rows: Rows) -> dict[AccessKey, tuple[AccessState, str]]:
    """Each with its stamp."""
    found = (
        (msgspec.json.decode(state or b"", type=AccessState), (stamp or b"").decode()) for state, stamp in rows.each()
    )
    return {state.key: (state, stamp) for state, stamp in found}


def decode_stamps(rows: Rows) -> dict[AccessKey, str]:
    return {
        AccessKey(*msgspec.json.decode(key or b"", type=tuple[AccessKind, str, str, str | None])): (
            stamp or b""
        ).decode()
        for key, stamp in rows.each()
    }


def _make(sql: str, keys: Sequence[AccessKey] | None, *, buckets: bool) -> Statement:
    wanted = None if keys is None else msgspec.json.encode(keys)
    return Statement(sql, (wanted, BUCKET_POLICY.encode()) if buckets else (wanted,))
