"""Builds a write that returns, beside its answer, every row that it wrote: how it was, and how it is.

All of it is one statement, so the rows are locked, written and returned under one snapshot, and as the caller. What
runs after the statement (a trigger at its end, what a foreign key does) cannot be returned.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pgrest.query.plan import DeletePlan, InsertPlan, UpdatePlan, WritePlan
from pgrest.sql.statements import (
    ANSWER,
    RESPONSE_HEADERS,
    RESPONSE_STATUS,
    Result,
    read_result,
    wants_location,
    write_answer_sql,
)
from pgrest.sql.text import Builder, operator_sql, quote_column, quote_ident, quote_literal, quote_name
from pgrest.sql.write import FoundRows, key_columns, reported_source_sql, where_sql, write_sql
from pgrest.wire.connection import Rows

_FOUND = FoundRows("bw_found")
_EQUALS = operator_sql(None, "=")
_ROW = "bw_row"
CANONICAL = {
    "TimeZone": frozenset({"UTC", "Etc/UTC"}),
    "DateStyle": frozenset({"ISO, MDY"}),
    "IntervalStyle": frozenset({"postgres"}),
}
"""The formats that rows are returned in, as far as the server reports them; and whole floats, hexadecimal bytea."""


def _setting(name: str) -> str:
    return f"pg_catalog.current_setting({quote_literal(name)})"


_IS_CANONICAL = " AND ".join(
    [
        f"{_setting('bytea_output')} {_EQUALS} 'hex'",
        f"{_setting('extra_float_digits')}::pg_catalog.int4 {operator_sql(None, '>')} 0",
        *(
            f"{_setting(name)} {_EQUALS} ANY (ARRAY[{', '.join(map(quote_literal, sorted(values)))}])"
            for name, values in CANONICAL.items()
        ),
    ]
)
# Whether the write took an id at all, then its id in any case. A function of the database's may have left any format.
TRANSACTION_FACTS = (
    "pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.text, pg_catalog.pg_current_xact_id()::pg_catalog.text, "
    f"{_IS_CANONICAL}, {RESPONSE_HEADERS}, {RESPONSE_STATUS}"
)
"""Expressions to select in the same transaction, after the write."""
RowBytes = tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class ReturningSpec:
    """`expressions` are what is returned of a row, by its alias. An update or a delete takes `limit` rows at most."""

    expressions: Callable[[str], Sequence[str]]
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class WriteImages:
    """`found` counts the rows that were looked up before, those that an update locked, where any was written.

    `touched`: whether anything was locked or written at all. `is_canonical`: values are in the one format that images
    have. `rows` holds before and after of each row that was written.
    """

    result: Result
    xid: int
    touched: bool
    is_canonical: bool
    found: int
    rows: list[tuple[RowBytes | None, RowBytes | None]]


def returning_write_sql(builder: Builder, plan: WritePlan, returning: ReturningSpec) -> str:
    """Needs the right to read all that is returned, and a table with a key."""
    target = quote_ident(plan.table.name)
    prefix = _pick_prefix(plan)
    images = _name(f"{prefix}i", returning.expressions(target))
    counted = {f"{prefix}count": f"(SELECT pg_catalog.count(*) FROM {_FOUND.source}) AS {prefix}count"}
    match plan:
        case InsertPlan():
            found, columns = None, images
            written = write_sql(builder, plan, also=images.values())
        case UpdatePlan():
            before = _name(f"{prefix}b", returning.expressions(_ROW))
            found = _found_sql(builder, plan, returning.limit, before.values(), locks=True)
            columns = {**counted, **{name: quote_column("bw_old", name) for name in before}, **images}
            written = write_sql(builder, plan, keys=_FOUND, also=columns.values())
        case DeletePlan() if returning.limit is None:
            found, columns = None, images
            written = write_sql(builder, plan, also=images.values())
        case DeletePlan():
            # RETURNING shows what was there, so it needs no lock before it, nor the right to take one.
            found = _found_sql(builder, plan, returning.limit, (), locks=False)
            columns = {**counted, **images}
            written = write_sql(builder, plan, keys=_FOUND, also=columns.values())
    if _is_bare(plan):
        return written if found is None else f"WITH {found} {written}"
    return _answered_sql(builder, plan, found, written, columns, number=f"{prefix}number")


def _pick_prefix(plan: WritePlan) -> str:
    """For names of our own: one that no column's begins with."""
    prefix = "bw_"
    while any(name.startswith(prefix) for name in (*plan.table.columns, *plan.returning)):
        prefix += "_"
    return prefix


def _name(prefix: str, expressions: Sequence[str]) -> dict[str, str]:
    """Each under its name."""
    return {f"{prefix}{at}": f"{value} AS {prefix}{at}" for at, value in enumerate(expressions)}


def _is_bare(plan: WritePlan) -> bool:
    """Whether nothing is answered of the rows, so that their images may be all that is returned."""
    return plan.body.kind == "none" and not plan.returning and not wants_location(plan)


def _found_sql(
    builder: Builder, plan: UpdatePlan | DeletePlan, limit: int | None, images: Iterable[str], *, locks: bool
) -> str:
    """The rows that the conditions match, with the columns that identify them."""
    keys = [quote_column(_ROW, name) for name in (*key_columns(plan.table), "tableoid")]
    tail = f"{'' if limit is None else f' LIMIT {int(limit)}'}{f' FOR UPDATE OF {_ROW}' if locks else ''}"
    return (
        f"{_FOUND.source} AS MATERIALIZED (SELECT {', '.join([*keys, *images])} "
        f"FROM {quote_name(plan.table.qualified)} AS {_ROW} WHERE {where_sql(builder, plan, _ROW)}{tail})"
    )


def _answered_sql(
    builder: Builder, plan: WritePlan, found: str | None, written: str, columns: Iterable[str], *, number: str
) -> str:
    """The answer's one row comes once for each row that was written; its body, which may be large, only with the first.

    Of a join with one row PostgreSQL keeps the order.
    """
    names = ", ".join(columns)
    shown = reported_source_sql(plan)
    parts = [f"bw_written AS ({written})", f"pgrst_source AS (SELECT {shown} FROM bw_written)"]
    if found is not None:
        parts.insert(0, found)
    answer = ", ".join(
        f"CASE WHEN {number} {operator_sql(None, '>')} 1 THEN NULL ELSE body END" if name == "body" else name
        for name in ANSWER
    )
    return (
        f"WITH {', '.join(parts)} SELECT {answer}, {names} FROM ({write_answer_sql(builder, plan)}) AS bw_answer "
        f"LEFT JOIN (SELECT pg_catalog.row_number() OVER () AS {number}, {names} FROM bw_written) AS bw_images ON true"
    )


def read_write_images(plan: WritePlan, limit: int | None, rows: Rows, facts: Sequence[bytes | None]) -> WriteImages:
    """`facts` are the values of TRANSACTION_FACTS; `limit` is that of the ReturningSpec."""
    assigned, xid, is_canonical, headers, status = facts
    returned = rows.rows
    if _is_bare(plan):
        status_text = None if status is None else status.decode("utf-8", "replace")
        result = Result(b"", len(returned), headers=headers, status=status_text)
    else:
        result = read_result(plan, rows, reports_keys=False)
        returned = [row[len(ANSWER) :] for row in returned]
        if returned and returned[0][-1] is None:
            returned = []  # nothing was written
    found = 0
    if isinstance(plan, UpdatePlan) or (isinstance(plan, DeletePlan) and limit is not None):
        found = int(returned[0][0] or 0) if returned else 0
        returned = [row[1:] for row in returned]
    return WriteImages(result, int(xid or 0), assigned is not None, is_canonical == b"t", found, _pair(plan, returned))


def _pair(plan: WritePlan, rows: list[RowBytes]) -> list[tuple[RowBytes | None, RowBytes | None]]:
    match plan:
        case InsertPlan():
            return [(None, row) for row in rows]
        case DeletePlan():
            return [(row, None) for row in rows]
        case UpdatePlan():
            width = len(rows[0]) // 2 if rows else 0
            return [(row[:width], row[width:]) for row in rows]
