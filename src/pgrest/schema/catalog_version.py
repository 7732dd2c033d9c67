"""Detects a changed catalogue without notifications: by how many rows it has and which transactions wrote them.

A row that DDL writes is a new version with a new `xmin`, which is younger than those of all rows that it takes the
place of; so with any change the count of a catalogue's rows changes, or the sum of their `xmin`, or both. Freezing
leaves `xmin` as it is (since PostgreSQL 9.4 it is marked in other bits), and what VACUUM, ANALYZE and CREATE INDEX
note in `pg_class` they note in place, without a new version. TRUNCATE, CLUSTER and REFRESH do write a new version
there, so of `pg_class` it is the fields that count, rights among them: code that remembers that a role may do something
remembers it for as long as the snapshot lasts. Temporary tables belong to one session alone, and are left out.

There are three checks, from cheap to expensive:

- has any transaction ended since (`pg_current_snapshot`)? If not, nothing can have changed;
- the quick check: sums over the small catalogues and the rows of relations, and the statistics counters of writes to
  the large ones, which sessions report when they are idle or end (from PostgreSQL 15 on; before, it was expensive to
  ask). It may see changes where there are none, and miss some for a while;
- the whole check: sums over everything that a snapshot is made of.

A stamp shows the same for one relation, by indexes alone, so that a write may check its own tables.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from pgrest.sql.text import Statement
from pgrest.wire.connection import Rows

FIRST_OWN_OID = 16384
_OWN_KINDS = "('r', 'p', 'v', 'm', 'f')"
NOT_SYSTEM = """n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp\\_%'"""

# Of one relation ----------------------------------------------------------------------------------------

_WRAP = 1 << 32
_SLASH = "'/'"


def _op(symbol: str, *operands: str) -> str:
    """By its schema, as everything in a stamp: it is asked along with a write, under the caller's search path."""
    return f"({f' OPERATOR(pg_catalog.{symbol}) '.join(operands)})"


def _sum(count: str, ages: str) -> str:
    """Of xmin, modulo 2^32: `age` is much faster than a way round by text, but moves on with time."""
    since_first = _op("*", count, _op("+", "pg_catalog.age('3'::pg_catalog.xid)", "3::int8"))
    total = _op("-", since_first, f"coalesce(pg_catalog.sum({ages}), 0)")
    return _op("%", _op("+", _op("%", total, str(_WRAP)), str(_WRAP)), str(_WRAP))


def _sum_of(source: str) -> str:
    """Count and sum of xmin.

    The catalogue is named by its schema: a temporary table that user code left behind would hide it.
    """
    count = "pg_catalog.count(*)"
    return f"(SELECT {_op('||', count, _SLASH, _sum(count, 'pg_catalog.age(xmin)'))} FROM pg_catalog.{source})"


# One node of a plan is dear compared with what it reads here, so all that hangs on a relation is summed in one go.
# Triggers of foreign keys are named for their own object ids, so that the names tell which there are.
_COUNTED = "pg_catalog.count(x)"
_AGE = "pg_catalog.age(xmin)"
_TOTALS = _op("||", _COUNTED, _SLASH, _sum(_COUNTED, "x"), _SLASH, "coalesce(pg_catalog.sum(h), 0)")
_HANGING = f"""(SELECT {_TOTALS} FROM (
    SELECT {_AGE} AS x, NULL::int AS h FROM pg_catalog.pg_attribute
    WHERE {_op("=", "attrelid", "c.oid")} AND {_op(">", "attnum", "0")}
    UNION ALL SELECT {_AGE}, NULL FROM pg_catalog.pg_index
    WHERE {_op("=", "indrelid", "c.oid")} AND (indisunique OR indexprs IS NOT NULL OR indpred IS NOT NULL)
    UNION ALL SELECT {_AGE}, NULL FROM pg_catalog.pg_policy WHERE {_op("=", "polrelid", "c.oid")}
    UNION ALL SELECT {_AGE}, NULL FROM pg_catalog.pg_inherits WHERE {_op("=", "inhparent", "c.oid")}
    UNION ALL SELECT CASE WHEN NOT tgisinternal THEN {_AGE} END, pg_catalog.hashname(tgname)
    FROM pg_catalog.pg_trigger WHERE {_op("=", "tgrelid", "c.oid")}) AS hanging)"""


def _shift(value: str, bits: int) -> str:
    return _op("<<", value, str(bits))


_BITS = _op(
    "#",
    _shift("c.relowner::int8", 32),
    _shift("c.relnamespace::int8", 11),
    _shift("pg_catalog.ascii(c.relkind::pg_catalog.text)", 3),
    _shift("c.relrowsecurity::int", 2),
    _shift("c.relforcerowsecurity::int", 1),
    "c.relispartition::int",
)
_MORE_BITS = _op(
    "#",
    "coalesce(pg_catalog.hash_array(c.relacl), 0)::int8",
    _shift("c.relchecks::int8", 33),
    _shift("c.relhasrules::int::int8", 49),
)
_HASHED = f"pg_catalog.hashint8extended({_BITS}, {_MORE_BITS})"
_FIELDS = f"pg_catalog.hashtextextended(c.relname::pg_catalog.text, {_HASHED})"
STAMP = _op("||", _FIELDS, "' '", _HANGING)
"""Of `pg_class c`. A foreign key shows in the triggers of both its tables, a default in `pg_attribute`."""

MARKS = f"""concat_ws(' ',
    {_sum_of("pg_constraint WHERE conrelid = c.oid AND contype IN ('p', 'u', 'f')")},
    CASE WHEN c.relkind IN ('v', 'm') THEN {_sum_of("pg_rewrite WHERE ev_class = c.oid")} END,
    {_sum_of("pg_description WHERE objoid = c.oid AND classoid = 'pg_catalog.pg_class'::regclass")})"""
"""The rest that a snapshot holds of a relation: nothing that a write depends on."""


def oid_array(oids: Iterable[int]) -> bytes:
    return b"{%s}" % ",".join(map(str, oids)).encode()


# Of everything ------------------------------------------------------------------------------------------


class CatalogVersion(msgspec.Struct, frozen=True, gc=False):
    """The answer to `ask_catalog_version`. What was not asked, or need not be because nothing has happened, is None.

    `cost` is the server's time for it, in seconds.
    """

    moment: str
    cost: float = 0.0
    quick_check: str | None = None
    names: str | None = None
    """Schemas and types: other things' text is spelled with them."""
    code: str | None = None
    roles: str | None = None
    """And what they may do in schemas."""
    shape: str | None = None
    """Relations and all that hangs on them."""

    @property
    def is_whole(self) -> bool:
        return self.shape is not None

    @property
    def digest(self) -> str | None:
        """The same wherever it is asked until something changes; None where not everything was asked."""
        parts = (self.names, self.code, self.roles, self.shape)
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest() if all(parts) else None


# On a standby, transactions under way are not in the snapshot's text: there every moment counts as another one.
_MOMENT = """CASE WHEN pg_is_in_recovery() THEN clock_timestamp()::text ELSE pg_current_snapshot()::text END"""
_OWN_SPACE = "NOT IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname ~ '^pg_')"


def _join(*values: str) -> str:
    return f"concat_ws(' ', {', '.join(values)})"


_CLASS_FIELDS = f"""(SELECT count(*) || '/' || coalesce(sum(hashtextextended(relname::text, hashint8extended(
    (relowner::int8 << 32) # (relnamespace::int8 << 11) # (ascii(relkind::text) << 3)
    # (relrowsecurity::int << 2) # (relforcerowsecurity::int << 1) # relispartition::int,
    oid::int8 # (coalesce(hashtext(relacl::text), 0)::int8 << 32)))), 0)
  FROM pg_catalog.pg_class
  WHERE oid >= {FIRST_OWN_OID} AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't')"""
_ROLE_FIELDS = """(SELECT count(*) || '/' || coalesce(sum(hashtextextended(rolname::text,
    (oid::int8 << 2) # (rolsuper::int << 1) # rolbypassrls::int)), 0) FROM pg_catalog.pg_roles)"""

# Not by xmin: a GRANT writes it, and `public` is the server's own.
_SPACE_FIELDS = """(SELECT count(*) || '/' || sum(hashtextextended(nspname::text, oid::int8))
  FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_(temp|toast)')"""
_SPACE_RIGHTS = "(SELECT coalesce(sum(hashtextextended(nspacl::text, oid::int8)), 0) FROM pg_catalog.pg_namespace)"
_SPACE_COMMENTS = """(SELECT count(*) || '/' || coalesce(sum(hashtextextended(description, objoid::int8)), 0)
  FROM pg_catalog.pg_description WHERE classoid = 'pg_catalog.pg_namespace'::regclass)"""

_LARGE = ("attribute", "type", "constraint", "index", "trigger", "inherits", "description")
_STAT_COUNTERS = f"""(
  SELECT sum(pg_stat_get_tuples_inserted(c) + pg_stat_get_tuples_updated(c) + pg_stat_get_tuples_deleted(c))
  FROM unnest('{{{", ".join(f"pg_catalog.pg_{name}" for name in _LARGE)}}}'::regclass[]) c)"""
_SEEN = (
    _SPACE_FIELDS,
    _sum_of(f"pg_class WHERE oid >= {FIRST_OWN_OID} AND relkind IN {_OWN_KINDS} AND relpersistence <> 't'"),
    _sum_of(f"pg_proc WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of(f"pg_rewrite WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of(f"pg_enum WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of("pg_policy"),
)
_NAMES = _join(
    _SPACE_FIELDS,
    _sum_of(
        f"pg_type WHERE oid >= {FIRST_OWN_OID} AND typtype <> 'c' AND typcategory <> 'A' AND typnamespace {_OWN_SPACE}"
    ),
    _sum_of(f"pg_enum WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of(f"pg_operator WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of(f"pg_collation WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of(f"pg_foreign_server WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of(f"pg_foreign_table WHERE ftrelid >= {FIRST_OWN_OID}"),
)
_CODE = _join(
    _sum_of(f"pg_proc WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of(f"pg_cast WHERE oid >= {FIRST_OWN_OID}"),
    _sum_of("pg_policy"),
    _sum_of(f"pg_constraint WHERE oid >= {FIRST_OWN_OID} AND contype = 'c'"),
)
_ROLES = _join(_ROLE_FIELDS, _SPACE_RIGHTS, _sum_of("pg_auth_members"), _sum_of("pg_db_role_setting"))
_NOT_PASSING = "NOT IN (SELECT oid FROM passing)"
_SHAPE = _join(
    _CLASS_FIELDS,
    _SPACE_COMMENTS,
    _sum_of(f"pg_attribute WHERE attrelid >= {FIRST_OWN_OID} AND attnum > 0 AND attrelid {_NOT_PASSING}"),
    _sum_of(
        f"pg_index WHERE indexrelid >= {FIRST_OWN_OID} AND indrelid {_NOT_PASSING} "
        "AND (indisunique OR indexprs IS NOT NULL OR indpred IS NOT NULL)"
    ),
    _sum_of(f"pg_constraint WHERE oid >= {FIRST_OWN_OID} AND contype IN ('p', 'u', 'f') AND connamespace {_OWN_SPACE}"),
    _sum_of(f"pg_trigger WHERE oid >= {FIRST_OWN_OID} AND NOT tgisinternal AND tgrelid {_NOT_PASSING}"),
    _sum_of(f"pg_rewrite WHERE oid >= {FIRST_OWN_OID} AND ev_class {_NOT_PASSING}"),
    _sum_of(f"pg_inherits WHERE inhrelid >= {FIRST_OWN_OID} AND inhrelid {_NOT_PASSING}"),
    _sum_of(f"pg_description WHERE objoid >= {FIRST_OWN_OID} AND objoid {_NOT_PASSING}"),
)

_HAPPENED = "CASE WHEN p.moment <> p.since THEN"
_WANTED = "CASE WHEN p.moment <> p.since AND p.whole THEN"


# A scalar subquery runs when its value is first needed: what CASE leaves out costs nothing. Parameters go through a
# subquery, for a plan that is good for any of them is made once: planning this takes longer than its cheap answers.
def _pulse_sql(quick_check: str) -> str:
    return f"""
WITH passing AS (SELECT oid FROM pg_catalog.pg_class WHERE relpersistence = 't')
SELECT p.moment, {_HAPPENED} {quick_check} END, {_WANTED} {_NAMES} END, {_WANTED} {_CODE} END, {_WANTED} {_ROLES} END,
       {_WANTED} {_SHAPE} END, extract(epoch FROM clock_timestamp() - statement_timestamp())
FROM (SELECT {_MOMENT} AS moment, $1::text AS since, $2::bool AS whole OFFSET 0) p
"""


_PULSE = _pulse_sql(_join(*_SEEN, _STAT_COUNTERS))
_PULSE_OF_OLD = _pulse_sql(_join(*_SEEN))
# Compiling takes longer than these take, and workers are for those who are in a hurry. The search path: in questions of
# this length nothing is named by its schema.
PLAN_PLAINLY = Statement(
    "SELECT pg_catalog.set_config('jit', 'off', true), "
    "pg_catalog.set_config('max_parallel_workers_per_gather', '0', true), "
    "pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)"
)


def ask_catalog_version(server_version: int, *, since: str = "", whole: bool) -> Statement:
    """`since` is the moment of an earlier pulse; while it lasts, nothing more is asked."""
    sql = _PULSE if server_version >= 150000 else _PULSE_OF_OLD
    return Statement(sql, (since.encode(), b"t" if whole else b"f"))


def read_catalog_version(rows: Rows) -> CatalogVersion:
    moment, quick_check, names, code, roles, shape, cost = next(rows.each())
    found: dict[str, Any] = {"quick_check": quick_check, "names": names, "code": code, "roles": roles, "shape": shape}
    decoded = {name: None if value is None else value.decode() for name, value in found.items()}
    return CatalogVersion((moment or b"").decode(), float(cost or 0), **decoded)
