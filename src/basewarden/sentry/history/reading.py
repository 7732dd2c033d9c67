"""Reads a database's structure from the catalog.

Owners, rights, row level security and policies are those that `access/reading.py` reads. The snapshot of the data API
has no text of constraints, indexes and views, so what objects consist of is asked here, with the texts that PostgreSQL
itself makes of it. Objects of extensions are left out.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from basewarden.sentry.access.reading import OWN_SCHEMAS, decode_states, read_states
from basewarden.sentry.history.items import CatalogObject, list_items
from basewarden.sentry.history.structure import Structure
from basewarden.sentry.scans.asking import ask
from pgrest import DbConnection, Rows, Statement, ask_catalog_version, read_catalog_version

_SECONDS: Final = 20.0
_XMIN: Final = re.compile(r"(?:^|:)(\d+)", re.ASCII)
"""In a stamp: `123 1:123,2:125`, an object's own row and numbered ones of its parts."""
_XID_BITS: Final = 32
_NUMBER: Final = re.compile(r"\d+", re.ASCII)


def _is_own(catalog: str, oid: str) -> str:
    return (
        f"NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{catalog}'::regclass AND e.objid = {oid}"
        " AND e.deptype = 'e')"
    )


_RELATIONS: Final = f"""
SELECT json_build_object('what', k.what, 'schema', n.nspname, 'name', c.relname, 'facts', json_build_object(
    'partition_of', CASE WHEN c.relispartition THEN (
      SELECT i.inhparent::regclass::text || ' ' || pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i
      WHERE i.inhrelid = c.oid) END,
    'partitioned_by', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
    'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END),
  'columns', (SELECT json_agg(json_build_array(a.attname, json_build_object(
      'type', format_type(a.atttypid, a.atttypmod), 'is_required', a.attnotnull,
      'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
      'generated', CASE WHEN a.attgenerated <> '' THEN format('(%s) %s', pg_get_expr(d.adbin, d.adrelid),
        CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) END,
      'identity', CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END)) ORDER BY a.attnum)
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (a.attislocal OR NOT c.relispartition)),
  'constraints', (SELECT json_agg(json_build_array(t.conname, pg_get_constraintdef(t.oid)) ORDER BY t.contype <> 'p',
      t.conname) FROM pg_constraint t
    WHERE t.conrelid = c.oid AND t.contype IN ('p', 'u', 'f', 'c', 'x') AND t.conparentid = 0 AND t.conislocal),
  'indexes', (SELECT json_agg(json_build_array(x.relname, pg_get_indexdef(i.indexrelid)) ORDER BY x.relname)
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND NOT x.relispartition AND NOT EXISTS (
      SELECT FROM pg_constraint t
      WHERE t.conrelid = c.oid AND t.conindid = i.indexrelid AND t.contype IN ('p', 'u', 'x'))),
  'triggers', (SELECT json_agg(json_build_array(g.tgname, json_build_object('definition', pg_get_triggerdef(g.oid),
      'enabled', g.tgenabled IN ('O', 'A'), 'arguments', encode(g.tgargs, 'hex'))) ORDER BY g.tgname) FROM pg_trigger g
    WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgparentid = 0)),
  concat_ws(' ', c.xmin::text,
    (SELECT string_agg('a:' || a.xmin::text, ',') FROM pg_attribute a WHERE a.attrelid = c.oid),
    (SELECT string_agg('d:' || d.xmin::text, ',') FROM pg_attrdef d WHERE d.adrelid = c.oid),
    (SELECT string_agg('t:' || t.xmin::text, ',') FROM pg_constraint t WHERE t.conrelid = c.oid),
    (SELECT string_agg('i:' || i.xmin::text, ',') FROM pg_index i WHERE i.indrelid = c.oid),
    (SELECT string_agg('g:' || g.xmin::text, ',') FROM pg_trigger g WHERE g.tgrelid = c.oid),
    (SELECT string_agg('r:' || r.xmin::text, ',') FROM pg_rewrite r WHERE r.ev_class = c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN (VALUES ('r', 'table'), ('p', 'table'), ('f', 'foreign table'), ('v', 'view'), ('m', 'materialized view'))
  AS k(relkind, what) ON k.relkind = c.relkind::text
WHERE {OWN_SCHEMAS} AND c.relpersistence <> 't' AND {_is_own("pg_class", "c.oid")}
ORDER BY n.nspname, c.relname
"""
_SEQUENCES: Final = f"""
SELECT json_build_object('what', 'sequence', 'schema', n.nspname, 'name', c.relname, 'facts', json_build_object(
    'definition', format('AS %s INCREMENT %s MINVALUE %s MAXVALUE %s START %s%s', format_type(s.seqtypid, NULL),
      s.seqincrement, s.seqmin, s.seqmax, s.seqstart, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END))),
  concat_ws(' ', c.xmin::text, 's:' || s.xmin::text)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_sequence s ON s.seqrelid = c.oid
WHERE {OWN_SCHEMAS} AND c.relpersistence <> 't' AND NOT EXISTS (SELECT FROM pg_depend e
  WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype IN ('e', 'i'))
ORDER BY n.nspname, c.relname
"""
_TYPES: Final = f"""
SELECT json_build_object('what', 'type', 'schema', n.nspname, 'name', t.typname, 'facts', json_build_object(
    'labels', CASE WHEN t.typtype = 'e' THEN (
      SELECT json_agg(l.enumlabel ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid) END,
    'definition', CASE t.typtype
      WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
        'DEFAULT ' || pg_get_expr(t.typdefaultbin, 0), CASE WHEN t.typnotnull THEN 'NOT NULL' END, (
          SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), ' ' ORDER BY k.conname)
          FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))
      WHEN 'c' THEN (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', '
        ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
      WHEN 'r' THEN (SELECT 'SUBTYPE = ' || format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid)
      END,
    'form', CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite' END)),
  concat_ws(' ', t.xmin::text, (SELECT string_agg('l:' || l.xmin::text, ',') FROM pg_enum l WHERE l.enumtypid = t.oid),
    (SELECT string_agg('k:' || k.xmin::text, ',') FROM pg_constraint k WHERE k.contypid = t.oid),
    (SELECT string_agg('a:' || a.xmin::text, ',') FROM pg_attribute a
      WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE {OWN_SCHEMAS} AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND {_is_own("pg_type", "t.oid")}
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = t.typrelid
    AND t.typrelid <> 0 AND e.deptype = 'e')
ORDER BY n.nspname, t.typname
"""
_FUNCTIONS: Final = f"""
SELECT json_build_object('what', 'function', 'schema', n.nspname, 'name', p.proname,
  'arguments', pg_get_function_identity_arguments(p.oid), 'facts', json_build_object(
    'form', CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END,
    'parameters', pg_get_function_arguments(p.oid), 'returns', pg_get_function_result(p.oid),
    'language', l.lanname, 'is_definer', p.prosecdef,
    'volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
    'body', md5(p.prosrc || coalesce(to_jsonb(p) ->> 'prosqlbody', '')))),
  p.xmin::text
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
WHERE {OWN_SCHEMAS} AND p.prokind IN ('f', 'p') AND {_is_own("pg_proc", "p.oid")}
ORDER BY n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)
"""
"""Of a body only a checksum is kept."""
_SCHEMAS: Final = f"""
SELECT json_build_object('what', 'schema', 'schema', n.nspname, 'name', '', 'facts', json_build_object()), n.xmin::text
FROM pg_namespace n WHERE {OWN_SCHEMAS} AND {_is_own("pg_namespace", "n.oid")} ORDER BY n.nspname
"""
_EXTENSIONS: Final = """
SELECT json_build_object('what', 'extension', 'schema', n.nspname, 'name', e.extname,
  'facts', json_build_object('version', e.extversion)), e.xmin::text
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY e.extname
"""
_OBJECTS: Final = tuple(Statement(sql) for sql in (_SCHEMAS, _EXTENSIONS, _TYPES, _SEQUENCES, _RELATIONS, _FUNCTIONS))
_NOW: Final = Statement(
    "SELECT pg_snapshot_xmax(s)::text, ARRAY(SELECT pg_snapshot_xip(s)::text)::text FROM pg_current_snapshot() AS s"
)


@dataclass(frozen=True, slots=True)
class ReadStructure:
    """`catalog` is the version of the catalog before it was read; `next_xid` no transaction had by then.

    `unfinished` are those before it that had not ended. `writers` are the transactions that wrote what there is, by
    schema and name of the object.
    """

    catalog: str
    structure: Structure
    writers: Mapping[tuple[str, str], frozenset[int]]
    next_xid: int
    unfinished: Sequence[int]


async def read_structure(connection: DbConnection) -> ReadStructure:
    """Raises DatabaseError, and PgrestError where the catalog is too large."""
    version = ask_catalog_version(connection.server_version, whole=True)
    answers = await ask(connection, _SECONDS, [_NOW, version, *_OBJECTS, read_states(None)])
    digest = read_catalog_version(answers[1]).digest
    assert digest is not None, "everything was asked"
    return await asyncio.to_thread(_decode, digest, answers)


def _decode(digest: str, answers: list[Rows]) -> ReadStructure:
    (now,) = answers[0].rows
    next_xid, unfinished = int(now[0] or b"0"), [int(one) for one in _NUMBER.findall((now[1] or b"").decode())]
    stamped = list(_decode_objects(answers[2:-1]))
    states = decode_states(answers[-1])
    structure = list_items([one for one, _ in stamped], [state for state, _ in states.values()])
    stamps = [((one.schema, one.name), stamp) for one, stamp in stamped]
    stamps += [((key.schema, key.name), stamp) for key, (_, stamp) in states.items()]
    return ReadStructure(digest, structure, _list_writers(stamps, next_xid), next_xid, unfinished)


def _decode_objects(answers: Iterable[Rows]) -> Iterable[tuple[CatalogObject, str]]:
    for rows in answers:
        for found, stamp in rows.each():
            yield msgspec.json.decode(found or b"", type=CatalogObject), (stamp or b"").decode()


def _list_writers(
    stamps: Iterable[tuple[tuple[str, str], str]], next_xid: int
) -> Mapping[tuple[str, str], frozenset[int]]:
    writers: dict[tuple[str, str], frozenset[int]] = {}
    for name, stamp in stamps:
        xids = frozenset(widen_xid(int(one), next_xid) for one in _XMIN.findall(stamp))
        writers[name] = writers.get(name, frozenset()) | xids
    return writers


def widen_xid(xmin: int, next_xid: int) -> int:
    """The 64 bits of a transaction's id, of which the catalog's rows have the lower half: the last such one before."""
    wide = next_xid >> _XID_BITS << _XID_BITS | xmin
    return wide if wide < next_xid else wide - (1 << _XID_BITS)
