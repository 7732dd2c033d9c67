"""From a plan to its statement, and from the statement's one row to a result.

The row has the columns total, page, body, headers, status, inserted; a write's also location, and keys when
asked for.
"""

from typing import NamedTuple

import msgspec

from pgrest import errors
from pgrest.query.negotiate import Body
from pgrest.query.plan import CallPlan, DatabasePlan, InsertPlan, ReadPlan, WritePlan
from pgrest.query.ranges import Range
from pgrest.schema.model import Function
from pgrest.sql.read import count_sql, range_sql, select_sql
from pgrest.sql.text import Builder, Statement, operator_sql, quote_literal, quote_name
from pgrest.sql.write import (
    INSERTED,
    Keys,
    call_sql,
    key_report_sql,
    reported_source_sql,
    write_sql,
)
from pgrest.wire.connection import Rows

_BYTEA = 17  # its object id
_TOTAL, _PAGE, _LOCATION = range(3)
_KEYS, _WRITTEN = 7, 8
_CONCAT = operator_sql(None, "||")


class _Places(NamedTuple):
    """Where the statement's one row has what."""

    body: int
    headers: int
    status: int
    inserted: int


ANSWER = ("total", "page", "location", "body", "headers", "status", "inserted")
"""The columns that a write answers with."""
_OF_READS, _OF_WRITES = _Places(2, 3, 4, 5), _Places(3, 4, 5, 6)
_NO_TOTAL = "null::pg_catalog.int8"
_NO_LOCATION = "null::pg_catalog.json"


def read_setting_sql(name: str) -> str:
    """What a function has set, or null. NULLIF's own `=` is that of text, which PostgreSQL always finds first."""
    return f"nullif(pg_catalog.current_setting('{name}', true), '')"


RESPONSE_HEADERS = read_setting_sql("response.headers")
RESPONSE_STATUS = read_setting_sql("response.status")
"""What the database's own functions want the response to be."""
_RESPONSE = f"{RESPONSE_HEADERS} AS headers, {RESPONSE_STATUS} AS status"


class Result(msgspec.Struct, frozen=True):
    body: bytes | memoryview
    page_total: int
    table_total: int | None = None
    location: tuple[tuple[str, str], ...] = ()
    headers: bytes | None = None
    status: str | None = None
    inserted: int | None = None
    keys: tuple[tuple[str, ...], ...] | None = None
    """For an update the old key and the new one of each row, else the key."""
    written: int | None = None
    """How many rows were written, where that was asked; `page_total` holds only those that the answer shows."""
    is_explained: bool = False


def build_statement(
    plan: DatabasePlan, *, keys: Keys | None = None, report_keys: bool = False, count_written: bool = False
) -> Statement:
    """`keys` restricts an update or delete to rows that are locked already, besides its own conditions.

    `report_keys` adds the keys of the written rows, `count_written` how many they are. Without `keys` an update finds
    the old keys by reading the table once more, which is exact only when no one else changes those rows.
    """
    builder = Builder()
    sql = statement_sql(builder, plan, keys=keys, report_keys=report_keys, count_written=count_written)
    return builder.statement(sql)


def statement_sql(
    builder: Builder,
    plan: DatabasePlan,
    *,
    keys: Keys | None = None,
    report_keys: bool = False,
    count_written: bool = False,
) -> str:
    match plan:
        case ReadPlan():
            sql = _read_sql(builder, plan)
        case CallPlan():
            sql = _call_sql(builder, plan)
        case _:
            sql = _write_sql(builder, plan, keys=keys, report_keys=report_keys, count_written=count_written)
    return _explain_sql(plan) + sql


def build_count_estimate(plan: DatabasePlan) -> Statement | None:
    """The planner's guess of the total, for `count=planned` and `count=estimated`."""
    builder = Builder()
    if not isinstance(plan, ReadPlan) or not wants_estimate(plan):
        return None
    return builder.statement(estimate_sql(builder, plan))


def wants_estimate(plan: DatabasePlan) -> bool:
    return isinstance(plan, ReadPlan) and plan.preferences.count in ("planned", "estimated")


def estimate_sql(builder: Builder, plan: ReadPlan) -> str:
    return f"EXPLAIN (FORMAT JSON) {count_sql(builder, plan.tree)}"


def _explain_sql(plan: DatabasePlan) -> str:
    wanted = plan.media.plan
    if wanted is None:
        return ""
    options = ", ".join([f"FORMAT {wanted.format.upper()}", *(one.upper() for one in wanted.options)])
    return f"EXPLAIN ({options}) "


def _read_sql(builder: Builder, plan: ReadPlan) -> str:
    source = select_sql(builder, plan.tree)
    count, total = _count_sql(builder, plan)
    return (
        f"WITH pgrst_source AS ({source}){count} SELECT {total} AS total, pg_catalog.count(_postgrest_t) AS page, "
        f"{_body_sql(plan.body, None)} AS body, {_RESPONSE}, "
        f"null::pg_catalog.int4 AS inserted FROM (SELECT * FROM pgrst_source) _postgrest_t"
    )


def _count_sql(builder: Builder, plan: ReadPlan | CallPlan) -> tuple[str, str]:
    if not plan.preferences.counts_exactly:
        return "", _NO_TOTAL
    counted = count_sql(builder, plan.tree)
    if isinstance(plan, ReadPlan) and plan.preferences.count == "estimated" and plan.max_rows is not None:
        counted += range_sql(builder, Range(0, plan.max_rows))  # one row more than a page tells that there are more
    return f", pgrst_source_count AS ({counted})", "(SELECT pg_catalog.count(*) FROM pgrst_source_count)"


def _write_sql(builder: Builder, plan: WritePlan, *, keys: Keys | None, report_keys: bool, count_written: bool) -> str:
    written = write_sql(builder, plan, keys=keys, reports=report_keys)
    if not report_keys:
        also = (
            ", null::pg_catalog.json AS keys, (SELECT pg_catalog.count(*) FROM pgrst_source) AS written"
            if count_written
            else ""
        )
        return f"WITH pgrst_source AS ({written}) {write_answer_sql(builder, plan, also=also)}"
    return (
        f"WITH bw_written AS ({written}), pgrst_source AS (SELECT {reported_source_sql(plan)} FROM bw_written) "
        f"{write_answer_sql(builder, plan, also=f', {key_report_sql(plan)} AS keys')}"
    )


def write_answer_sql(builder: Builder, plan: WritePlan, *, also: str = "") -> str:
    """What is answered of the rows in `pgrst_source`: one row, of ANSWER's columns and `also`."""
    shown = "SELECT * FROM pgrst_source" if plan.body.kind == "none" else select_sql(builder, plan.tree)
    merges = isinstance(plan, InsertPlan) and plan.resolution == "merge-duplicates"
    return (
        f"SELECT {_NO_TOTAL} AS total, pg_catalog.count(_postgrest_t) AS page, "
        f"{_location_sql(plan)} AS location, {_body_sql(plan.body, None)} AS body, {_RESPONSE}, "
        f"{INSERTED if merges else 'null::pg_catalog.int4'} AS inserted{also} FROM ({shown}) _postgrest_t"
    )


def wants_location(plan: WritePlan) -> bool:
    wants_it = isinstance(plan, InsertPlan) and plan.preferences.returning == "headers-only" and not plan.is_put
    return wants_it and bool(plan.table.primary_key)


def _location_sql(plan: WritePlan) -> str:
    """Where the one inserted row can be read: its key as filters."""
    if not wants_location(plan):
        return _NO_LOCATION
    names = ", ".join(quote_literal(name) for name in plan.table.primary_key)
    pairs = (
        "SELECT pg_catalog.json_agg(pg_catalog.json_build_array("
        f"pair.key, coalesce('eq.' {_CONCAT} pair.value, 'is.null'))) "
        "FROM (SELECT pg_catalog.row_to_json(one) AS value FROM pgrst_source AS one LIMIT 1) AS first, "
        f"pg_catalog.json_each_text(first.value) AS pair WHERE pair.key {operator_sql(None, '=')} ANY (ARRAY[{names}])"
    )
    return f"CASE WHEN pg_catalog.count(_postgrest_t) {operator_sql(None, '=')} 1 THEN ({pairs}) END"


def _call_sql(builder: Builder, plan: CallPlan) -> str:
    source = call_sql(builder, plan)
    count, total = _count_sql(builder, plan)
    function = plan.function
    page = "pg_catalog.count(_postgrest_t)" if function.returns_set else "1"
    return (
        f"WITH pgrst_source AS ({source}){count} SELECT {total} AS total, {page} AS page, "
        f"{_body_sql(plan.body, function)} AS body, {_RESPONSE}, "
        f"null::pg_catalog.int4 AS inserted FROM ({select_sql(builder, plan.tree)}) _postgrest_t"
    )


# Bodies -------------------------------------------------------------------------------------------------


def _body_sql(body: Body, function: Function | None) -> str:
    match body.kind:
        case "json":
            return _json_sql(function, is_single=False, strips_nulls=body.strips_nulls)
        case "object":
            return _json_sql(function, is_single=True, strips_nulls=body.strips_nulls)
        case "csv":
            return _CSV
        case "geojson":
            return _geojson_sql(body.schema)
        case "custom":
            return _custom_sql(body, function)
        case "none":
            return "''::pg_catalog.text"


def _json_sql(function: Function | None, *, is_single: bool, strips_nulls: bool) -> str:
    is_scalar = function is not None and (function.returns_scalar or (function.returns_scalar_set and not is_single))
    rows = f"pg_catalog.json_agg(_postgrest_t{'.pgrst_scalar' if is_scalar else ''})"
    is_one = is_single or (function is not None and not function.returns_set)
    value = f"{rows} {operator_sql(None, '->')} 0" if is_one else rows
    value = f"pg_catalog.json_strip_nulls({value})" if strips_nulls else value
    return f"coalesce({value}, '{'null' if is_one else '[]'}')"


_TEXT = "_postgrest_t::pg_catalog.text"
_CSV = (
    "(SELECT coalesce(pg_catalog.string_agg(one.key, ','), '') FROM "
    "(SELECT pg_catalog.json_object_keys(first.value) AS key FROM "
    "(SELECT pg_catalog.row_to_json(row) AS value FROM pgrst_source AS row LIMIT 1) AS first) AS one) "
    f"{_CONCAT} '\n' {_CONCAT} coalesce(pg_catalog.string_agg("
    f"pg_catalog.substr({_TEXT}, 2, pg_catalog.length({_TEXT}) {operator_sql(None, '-')} 2), '\n'), '')"
)


def _geojson_sql(schema: str | None) -> str:
    convert = quote_name((schema or "pg_catalog", "st_asgeojson"))
    return (
        "pg_catalog.json_build_object('type', 'FeatureCollection', 'features', "
        f"coalesce(pg_catalog.json_agg({convert}(_postgrest_t)::pg_catalog.json), '[]'))"
    )


def _custom_sql(body: Body, function: Function | None) -> str:
    if body.handler is None:
        raise AssertionError("a custom body has its handler")
    argument = "_postgrest_t"
    if function is not None and function.returns_scalar:
        argument = "_postgrest_t.pgrst_scalar"
    elif body.handler.target is not None:
        argument = f"_postgrest_t::{quote_name(body.handler.target)}"
    return f"{quote_name(body.handler.function)}({argument})"


# Results ------------------------------------------------------------------------------------------------


def read_result(plan: DatabasePlan, rows: Rows, estimate: Rows | None = None, *, reports_keys: bool = True) -> Result:
    """`estimate` is what `build_count_estimate` answered; `reports_keys` says what a column after ANSWER's means."""
    if plan.media.plan is not None:
        return Result(b"".join((row[0] or b"") + b"\n" for row in rows.rows), 0, is_explained=True)
    if not rows.count:  # a custom aggregate over no row
        return Result(b"", 0, table_total=0 if isinstance(plan, CallPlan) else None)
    is_write = not isinstance(plan, ReadPlan | CallPlan)
    places = _OF_WRITES if is_write else _OF_READS
    keys = _read_keys(rows) if is_write and reports_keys else None
    result = Result(
        body=_read_body(rows, places.body),
        page_total=int(rows.value(0, _PAGE) or 0),
        table_total=_read_int(rows.value(0, _TOTAL)),
        location=_read_location(rows.value(0, _LOCATION)) if is_write else (),
        headers=rows.value(0, places.headers),
        status=_read_text(rows.value(0, places.status)),
        inserted=_read_int(rows.value(0, places.inserted)),
        keys=keys,
        written=len(keys) if keys is not None else _read_written(rows) if is_write and reports_keys else None,
    )
    return result if estimate is None else _with_estimate(plan, result, estimate)


def _with_estimate(plan: DatabasePlan, result: Result, estimate: Rows) -> Result:
    guess = msgspec.json.decode(estimate.value(0, 0) or b"[]")[0]["Plan"]["Plan Rows"]
    total: int | None = int(guess)
    if plan.preferences.count == "estimated":
        most = plan.max_rows if isinstance(plan, ReadPlan) else None
        exact = result.table_total
        is_beyond = exact is not None and (most is None or exact > most)
        total = max(exact or 0, int(guess)) if is_beyond else exact
    return msgspec.structs.replace(result, table_total=total)


def _read_body(rows: Rows, place: int) -> bytes | memoryview:
    """The bytes as they are; only bytea comes as hexadecimal text."""
    value = rows.view(0, place)
    if value is None:
        return b""
    return bytes.fromhex(str(value[2:], "ascii")) if rows.type_of(place) == _BYTEA else value


def _read_int(value: bytes | None) -> int | None:
    return None if value is None else int(value)


def _read_text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _read_keys(rows: Rows) -> tuple[tuple[str, ...], ...] | None:
    if not rows.has_column(_KEYS) or rows.has_column(_WRITTEN):
        return None
    return msgspec.json.decode(rows.value(0, _KEYS) or b"[]", type=tuple[tuple[str, ...], ...])


def _read_written(rows: Rows) -> int | None:
    return _read_int(rows.value(0, _WRITTEN)) if rows.has_column(_WRITTEN) else None


def _read_location(value: bytes | None) -> tuple[tuple[str, str], ...]:
    return () if value is None else msgspec.json.decode(value, type=tuple[tuple[str, str], ...])


# Rules that only the result can break -------------------------------------------------------------------


def needs_verdict(plan: DatabasePlan) -> bool:
    """Whether `verify_result` may refuse, so that a write must not be committed before it is asked."""
    limits = plan.preferences.is_strict and plan.preferences.max_affected is not None
    return plan.media.is_singular or limits or (isinstance(plan, InsertPlan) and plan.is_put)


def verify_result(plan: DatabasePlan, result: Result) -> None:
    if result.is_explained:
        return
    if isinstance(plan, InsertPlan) and plan.is_put:
        if result.page_total != 1:
            raise errors.put_key_mismatch()
        return
    if plan.media.is_singular and result.page_total != 1:
        raise errors.not_singular(result.page_total)
    most = plan.preferences.max_affected if plan.preferences.is_strict else None
    if most is not None and result.page_total > most:
        raise errors.max_affected_exceeded(result.page_total)
