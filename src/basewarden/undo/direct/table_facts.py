"""Reads from the catalog what the schema snapshot lacks: all unique indexes, and the columns of `UPDATE OF` triggers.

They are read in the undo's own transaction. The snapshot has only unique keys over whole columns of all rows; here are
also indexes over expressions or some of the rows, those with NULLS NOT DISTINCT, and exclusion constraints.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from pgrest import DbConnection, Statement, Table


class Index(msgspec.Struct, frozen=True, array_like=True):
    """Two rows collide if both meet `predicate` and every operator holds between their `parts`."""

    table: int
    name: str
    is_immediate: bool
    columns: tuple[str, ...]
    """The columns that its parts and its predicate use."""
    parts: tuple[str, ...]
    """SQL over the table's own columns."""
    operators: tuple[str, ...]
    predicate: str | None
    nulls_collide: bool
    is_exclusion: bool
    sources: tuple[str, ...] = ()
    """The columns that generated ones among its `columns` are computed from."""

    def is_plain(self, table: Table) -> bool:
        """Whether the snapshot has this index as a unique key over whole columns."""
        if self.is_exclusion or self.predicate is not None or self.nulls_collide:
            return False
        return any(sorted(key.columns) == sorted(self.columns) for key in table.unique_keys) and len(self.parts) == len(
            self.columns
        )


@dataclass(frozen=True, slots=True)
class TableFacts:
    indexes: Mapping[int, tuple[Index, ...]] = field(default_factory=dict)
    watched: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Table -> the columns that its `UPDATE OF` triggers name."""

    def list_indexes(self, table: Table) -> tuple[Index, ...]:
        return self.indexes.get(table.oid, ())


_INDEXES = """
SELECT json_build_array(
  i.indrelid::int8, x.relname, i.indimmediate,
  ARRAY(SELECT a.attname FROM pg_attribute a
        WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped
          AND (a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) OR EXISTS (
            SELECT FROM pg_depend d
            WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum
              AND (d.classid, d.objid) IN (
                ('pg_class'::regclass, i.indexrelid), ('pg_constraint'::regclass, k.oid))
              AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)))
        ORDER BY a.attnum),
  ARRAY(SELECT pg_get_indexdef(i.indexrelid, at + 1, false)
          || CASE WHEN c.oid IS NULL THEN '' ELSE format(' COLLATE %I.%I', cn.nspname, c.collname) END
        FROM generate_series(0, i.indnkeyatts - 1) at
        LEFT JOIN pg_collation c ON c.oid = (i.indcollation::oid[])[at]
        LEFT JOIN pg_namespace cn ON cn.oid = c.collnamespace ORDER BY at),
  ARRAY(SELECT format('OPERATOR(%I.%s)', n.nspname, o.oprname)
        FROM generate_series(1, i.indnkeyatts) at
        JOIN pg_opclass oc ON oc.oid = (i.indclass::oid[])[at - 1]
        LEFT JOIN pg_amop m ON m.amopfamily = oc.opcfamily AND m.amopstrategy = 3
          AND m.amoplefttype = oc.opcintype AND m.amoprighttype = oc.opcintype
        LEFT JOIN pg_operator o ON o.oid = coalesce(k.conexclop[at], m.amopopr)
        LEFT JOIN pg_namespace n ON n.oid = o.oprnamespace ORDER BY at),
  pg_get_expr(i.indpred, i.indrelid),
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
  i.indisexclusion)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid = ANY ($1::text::oid[]) AND (i.indisunique OR i.indisexclusion) AND i.indisvalid
ORDER BY i.indisprimary DESC, i.indexrelid
"""
_GENERATED = """
SELECT json_build_array(a.attrelid::int8, a.attname, s.attname)
FROM pg_attribute a JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
JOIN pg_depend d ON (d.classid = 'pg_attrdef'::regclass AND d.objid = e.oid)
  OR (d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum)
JOIN pg_attribute s ON s.attrelid = a.attrelid AND s.attnum = d.refobjsubid AND s.attnum <> a.attnum
WHERE a.attrelid = ANY ($1::text::oid[]) AND a.attgenerated <> ''
  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid
ORDER BY s.attnum
"""
_WATCHED = """
SELECT json_build_array(g.tgrelid::int8, a.attname)
FROM pg_trigger g JOIN pg_attribute a ON a.attrelid = g.tgrelid AND a.attnum = ANY (g.tgattr::int2[])
WHERE g.tgrelid = ANY ($1::text::oid[]) AND NOT g.tgisinternal AND g.tgenabled <> 'D'
"""


async def read_facts(connection: DbConnection, tables: Iterable[Table]) -> TableFacts:
    oids = ("{" + ",".join(sorted({str(table.oid) for table in tables})) + "}").encode()
    questions = (_INDEXES, _GENERATED, _WATCHED)
    found, generated, watching = await connection.run([Statement(sql, (oids,)) for sql in questions])
    used = [msgspec.json.decode(row[0] or b"", type=tuple[int, str, str]) for row in generated.rows]
    indexes: dict[int, list[Index]] = {}
    for row in found.rows:
        index = msgspec.json.decode(row[0] or b"", type=Index)
        sources = dict.fromkeys(source for oid, name, source in used if oid == index.table and name in index.columns)
        indexes.setdefault(index.table, []).append(msgspec.structs.replace(index, sources=tuple(sources)))
    watched: dict[int, set[str]] = {}
    for row in watching.rows:
        oid, name = msgspec.json.decode(row[0] or b"", type=tuple[int, str])
        watched.setdefault(oid, set()).add(name)
    return TableFacts(
        {oid: tuple(group) for oid, group in indexes.items()},
        {oid: frozenset(names) for oid, names in watched.items()},
    )
