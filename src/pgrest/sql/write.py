"""INSERT, UPDATE, DELETE and function calls, as the CTE whose rows the answer is selected from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec

from pgrest.query.payload import Payload
from pgrest.query.plan import CallPlan, DeletePlan, InputColumn, InsertPlan, UpdatePlan, WritePlan
from pgrest.schema.model import Parameter, Table
from pgrest.sql.conditions import all_conditions_sql, computed_sql, where_clause
from pgrest.sql.text import (
    Builder,
    array_literal,
    operator_sql,
    quote_column,
    quote_ident,
    quote_list,
    quote_literal,
    quote_name,
    unnest_sql,
)

INSERTED = "nullif(pg_catalog.current_setting('pgrst.inserted', true), '')::pg_catalog.int4"


def _count_sql(sign: str, impossible: str) -> str:
    counted = f"(coalesce({INSERTED}, 0) {operator_sql(None, sign)} 1)::pg_catalog.text"
    return f"pg_catalog.set_config('pgrst.inserted', {counted}, true) {operator_sql(None, '<>')} '{impossible}'"


_COUNT_UP, _COUNT_DOWN = _count_sql("+", "0"), _count_sql("-", "-1")


@dataclass(frozen=True, slots=True)
class Keys:
    """The exact text of the key columns of rows that are locked already."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class FoundRows:
    """Rows that another part of the statement found. `source` is its name; it has the key's columns and `tableoid`."""

    source: str


def key_columns(table: Table) -> tuple[str, ...]:
    """What `Keys` and `bw_keys` tell rows of a table apart by; without a key, where the row lies."""
    if table.key:
        return table.key
    return ("tableoid", "ctid") if table.kind == "partitioned" else ("ctid",)


def key_type(table: Table, column: str) -> str:
    known = table.columns.get(column)
    return known.type if known is not None else {"tableoid": "oid", "ctid": "tid"}[column]


def write_sql(
    builder: Builder,
    plan: WritePlan,
    *,
    keys: Keys | FoundRows | None = None,
    reports: bool = False,
    also: Collection[str] = (),
) -> str:
    """`also` is returned of each row besides what the request asks for; the request's `*` is spelled out then."""
    match plan:
        case InsertPlan():
            return _insert_sql(builder, plan, reports=reports, also=also)
        case UpdatePlan():
            return _update_sql(builder, plan, keys=keys, reports=reports, also=also)
        case DeletePlan():
            return _delete_sql(builder, plan, keys=keys, reports=reports, also=also)


def where_sql(builder: Builder, plan: UpdatePlan | DeletePlan, alias: str) -> str:
    """The request's own conditions on `FROM table AS alias`, or `true` when there are none."""
    return " AND ".join(all_conditions_sql(builder, plan.conditions, quote_ident(alias))) or "true"


# Insert -------------------------------------------------------------------------------------------------


def _insert_sql(builder: Builder, plan: InsertPlan, *, reports: bool, also: Collection[str]) -> str:
    target = quote_ident(plan.table.name)
    names = quote_list(column.name for column in plan.columns)
    columns = f" ({names})" if plan.columns else ""
    values = ", ".join(quote_column("pgrst_body", column.name) for column in plan.columns)
    rows = payload_sql(builder, plan.payload, plan.columns, fills_defaults=plan.fills_defaults)
    keys = key_columns(plan.table) if reports else ()
    returned = _returning_sql(plan, target, keys, also=also)
    return (
        f"INSERT INTO {quote_name(plan.table.qualified)} AS {target}{columns} SELECT {values} FROM {rows}"
        f"{_insert_where_sql(builder, plan)}{_conflict_sql(plan)} RETURNING {returned}"
    )


def _insert_where_sql(builder: Builder, plan: InsertPlan) -> str:
    """A merge counts its rows up here and down again where one turns out to be an update."""
    parts = [_COUNT_UP] if plan.resolution == "merge-duplicates" else []
    return where_clause([*parts, *all_conditions_sql(builder, plan.conditions, "pgrst_body")])


def _conflict_sql(plan: InsertPlan) -> str:
    if not plan.is_upsert:
        return ""
    target = f" ON CONFLICT ({quote_list(plan.conflict_columns)})"
    if plan.resolution == "ignore-duplicates" or not plan.columns:
        return f"{target} DO NOTHING"
    assigned = ", ".join(f"{quote_ident(column.name)} = EXCLUDED.{quote_ident(column.name)}" for column in plan.columns)
    return f"{target} DO UPDATE SET {assigned} WHERE {_COUNT_DOWN}"


# Update and delete --------------------------------------------------------------------------------------


def _update_sql(
    builder: Builder, plan: UpdatePlan, *, keys: Keys | FoundRows | None, reports: bool, also: Collection[str]
) -> str:
    target = quote_ident(plan.table.name)
    if not plan.columns:
        return _nothing_sql(plan, target, reports=reports)
    assigned = ", ".join(
        f"{quote_ident(column.name)} = {quote_column('pgrst_body', column.name)}" for column in plan.columns
    )
    rows = payload_sql(builder, plan.payload, plan.columns, fills_defaults=plan.fills_defaults)
    old = _old_keys_sql(builder, plan.table, keys, reports=reports)
    conditions = [
        *all_conditions_sql(builder, plan.conditions, target),
        *_same_row_sql(plan.table, target, keys, old),
    ]
    new_keys = key_columns(plan.table) if reports else ()
    returned = _returning_sql(plan, target, new_keys, has_old=True, also=also)
    return (
        f"UPDATE {quote_name(plan.table.qualified)} AS {target} SET {assigned} FROM {rows}"
        f"{f', {old}' if old else ''}{where_clause(conditions)} RETURNING {returned}"
    )


def _nothing_sql(plan: UpdatePlan, target: str, *, reports: bool) -> str:
    """An empty body changes no row; the columns are still named, so that a selection of them is valid."""
    keys = key_columns(plan.table) if reports else ()
    shown = [_returned_sql(plan, target, column) for column in plan.returning] or ["NULL"]
    old = [f"NULL::pg_catalog.text AS {_old_name(i)}" for i in range(len(keys))]
    new = [f"NULL::pg_catalog.text AS {_new_name(i)}" for i in range(len(keys))]
    table = quote_name(plan.table.qualified)
    return f"SELECT {', '.join([*shown, *old, *new])} FROM {table} AS {target} WHERE false"


def _delete_sql(
    builder: Builder, plan: DeletePlan, *, keys: Keys | FoundRows | None, reports: bool, also: Collection[str]
) -> str:
    target = quote_ident(plan.table.name)
    old = _old_keys_sql(builder, plan.table, keys, reports=False)
    conditions = [
        *all_conditions_sql(builder, plan.conditions, target),
        *_same_row_sql(plan.table, target, keys, old),
    ]
    new_keys = key_columns(plan.table) if reports else ()
    returned = _returning_sql(plan, target, new_keys, also=also)
    using = f" USING {old}" if old else ""
    return (
        f"DELETE FROM {quote_name(plan.table.qualified)} AS {target}{using}{where_clause(conditions)}"
        f" RETURNING {returned}"
    )


def _old_keys_sql(builder: Builder, table: Table, keys: Keys | FoundRows | None, *, reports: bool) -> str:
    """Rows of old keys, typed: the ones given, or the table itself when only a report needs them."""
    if isinstance(keys, FoundRows):
        return f"{keys.source} AS bw_old"
    if keys is not None:
        types = [key_type(table, column) for column in keys.columns]
        typed = ", ".join(
            f"k{i}::{kind} AS {quote_ident(column)}"
            for i, (column, kind) in enumerate(zip(keys.columns, types, strict=True))
        )
        arrays = [
            f"{builder.param(array_literal(row[i] for row in keys.rows))}::pg_catalog.text[]"
            for i in range(len(keys.columns))
        ]
        names = ", ".join(f"k{i}" for i in range(len(keys.columns)))
        return f"(SELECT {typed} FROM {unnest_sql(arrays)} AS given({names})) AS bw_old"
    if reports:
        named = ", ".join(f"{quote_ident(column)}" for column in key_columns(table))
        return f"(SELECT {named} FROM {quote_name(table.qualified)}) AS bw_old"
    return ""


def _same_row_sql(table: Table, target: str, keys: Keys | FoundRows | None, old: str) -> list[str]:
    if not old:
        return []
    # a table that inherits from this one may have a row of the same key
    columns = (*key_columns(table), "tableoid") if isinstance(keys, FoundRows) else key_columns(table)
    return [same_sql(table, column, quote_column(target, column), quote_column("bw_old", column)) for column in columns]


def same_sql(table: Table, column: str, left: str, right: str) -> str:
    """Whether two values of a column are equal, by its type's own `=`."""
    known = table.columns.get(column)
    return f"{left} {operator_sql(None if known is None else known.own_operators, '=')} {right}"


def _old_name(index: int) -> str:
    return f"bw_old_{index}"


def _new_name(index: int) -> str:
    return f"bw_new_{index}"


def _returning_sql(
    plan: WritePlan, target: str, keys: Sequence[str], *, has_old: bool = False, also: Collection[str] = ()
) -> str:
    """`1` when nothing is shown: the rows are still counted, and no right to read is needed."""
    columns = _spell_out(plan.table, plan.returning, bool(also) or bool(keys))
    shown = [_returned_sql(plan, target, column) for column in columns]
    old = [
        f"{quote_column('bw_old', column)}::pg_catalog.text AS {_old_name(i)}"
        for i, column in enumerate(keys)
        if has_old
    ]
    new = [f"{quote_column(target, column)}::pg_catalog.text AS {_new_name(i)}" for i, column in enumerate(keys)]
    return ", ".join([*(shown or ([] if also else ["1"])), *old, *new, *also])


def _returned_sql(plan: WritePlan | CallPlan, relation: str, name: str) -> str:
    """A column of the source as the answer will find it there."""
    computed = plan.computed.get(name)
    return (
        quote_column(relation, name)
        if computed is None
        else f"{computed_sql(computed, relation)} AS {quote_ident(name)}"
    )


def _spell_out(table: Table, columns: Sequence[str], reports: bool) -> Sequence[str]:  # noqa: FBT001 - private
    return tuple(table.columns) if reports and tuple(columns) == ("*",) else columns


def reported_source_sql(plan: WritePlan) -> str:
    """The columns of the written rows without those that report keys."""
    columns = _spell_out(plan.table, plan.returning, reports=True)
    return quote_list(columns) if columns else "1"


def key_report_sql(plan: WritePlan) -> str:
    count = len(key_columns(plan.table))
    old = [_old_name(i) for i in range(count)] if isinstance(plan, UpdatePlan) else []
    names = ", ".join([*old, *(_new_name(i) for i in range(count))])
    rows = f"pg_catalog.json_agg(pg_catalog.json_build_array({names}))"
    return f"(SELECT coalesce({rows}, '[]') FROM bw_written)"


# Bodies -------------------------------------------------------------------------------------------------


def payload_sql(
    builder: Builder,
    payload: Payload,
    columns: Sequence[InputColumn],
    *,
    fills_defaults: bool = False,
    only_first: bool = False,
) -> str:
    """The body's rows with the columns' types, `FROM … pgrst_body`."""
    kind = "jsonb" if fills_defaults else "json"
    source = f"(SELECT {builder.param(payload.body, payload)}::pg_catalog.{kind} AS json_data) pgrst_payload"
    value = "pgrst_payload.json_data"
    if fills_defaults:
        source += f", {_defaults_sql(payload, columns)} pgrst_json_defs"
        value = "pgrst_json_defs.val"
    return f"{source}, {_rows_sql(kind, value, payload, columns, only_first=only_first)} pgrst_body"


def _defaults_sql(payload: Payload, columns: Sequence[InputColumn]) -> str:
    pairs = ", ".join(
        f"{quote_literal(column.name)}, {column.default}" for column in columns if column.default is not None
    )
    defaults = f"pg_catalog.jsonb_build_object({pairs}) {operator_sql(None, '||')}"
    if payload.is_object:
        return f"LATERAL (SELECT {defaults} pgrst_payload.json_data AS val)"
    elements = "pg_catalog.jsonb_array_elements(pgrst_payload.json_data) elem"
    return f"LATERAL (SELECT pg_catalog.jsonb_agg({defaults} elem) AS val FROM {elements})"


def _rows_sql(kind: str, value: str, payload: Payload, columns: Sequence[InputColumn], *, only_first: bool) -> str:
    if not columns:
        rows = "(VALUES (1)) _" if payload.is_object else f"pg_catalog.{kind}_array_elements({value}) _"
        return f"LATERAL (SELECT FROM {rows})"
    function = f"pg_catalog.{kind}_to_record" + ("" if payload.is_object else "set")
    typed = ", ".join(f"{quote_ident(column.name)} {column.type}" for column in columns)
    limit = " LIMIT 1" if only_first else ""
    shown = ", ".join(_input_sql(column) for column in columns)
    return f"LATERAL (SELECT {shown} FROM {function}({value}) AS _({typed}){limit})"


def _input_sql(column: InputColumn) -> str:
    name = quote_ident(column.name)
    return name if column.transform is None else f"{quote_name(column.transform)}({name}) AS {name}"


# Calls --------------------------------------------------------------------------------------------------


def call_sql(builder: Builder, plan: CallPlan) -> str:
    function = plan.function
    is_scalar = function.returns_scalar or function.returns_scalar_set
    lateral, arguments = _arguments_sql(builder, plan)
    call = f"{quote_name(function.qualified)}({arguments})"
    if is_scalar:
        return f"SELECT pgrst_call.pgrst_scalar FROM {lateral}(SELECT {call} pgrst_scalar) pgrst_call"
    source = f"{lateral}{call} pgrst_call"
    if plan.names_bare and plan.returning and plan.returning != ("*",):
        alias = quote_ident(_make_alias("pgrst_called", plan.returning))
        return f"SELECT {quote_list(plan.returning)} FROM (SELECT pgrst_call.* FROM {source}) AS {alias}"
    columns = ", ".join(_returned_sql(plan, "pgrst_call", name) for name in plan.returning)
    return f"SELECT {columns or '*'} FROM {source}"


def _make_alias(start: str, names: Collection[str]) -> str:
    """One that none of these is: a name that is no column's would mean the whole row of that alias."""
    return start if start not in names else _make_alias(f"{start}_", names)


def _arguments_sql(builder: Builder, plan: CallPlan) -> tuple[str, str]:
    """What comes before the call in FROM, and the call's arguments."""
    if plan.parameters and not plan.parameters[0].name:
        return "", _whole_body_sql(builder, plan, plan.parameters[0])
    if not plan.parameters:
        return "", ""
    if plan.arguments is not None:
        given = (
            _argument_sql(one, f"{_argument_param(builder, plan.arguments[one.name])}::{one.unlimited_type}")
            for one in plan.parameters
        )
        return "", ", ".join(given)
    columns = [InputColumn(one.name, one.unlimited_type, None, None) for one in plan.parameters]
    rows = payload_sql(builder, plan.payload or Payload(b"{}"), columns, only_first=True)
    given = (_argument_sql(one, quote_column("pgrst_body", one.name)) for one in plan.parameters)
    return f"{rows}, LATERAL ", ", ".join(given)


def _argument_sql(parameter: Parameter, value: str) -> str:
    return f"{'VARIADIC ' if parameter.is_variadic else ''}{quote_ident(parameter.name)} := {value}"


def _argument_param(builder: Builder, value: str | tuple[str, ...]) -> str:
    return builder.param(array_literal(value) if isinstance(value, tuple) else value)


def _whole_body_sql(builder: Builder, plan: CallPlan, parameter: Parameter) -> str:
    payload = plan.payload or Payload(b"")
    if plan.arguments is not None:
        payload = Payload(msgspec.json.encode(plan.arguments))
    if parameter.type == "bytea":
        return builder.param("\\x" + payload.body.hex()) + "::pg_catalog.bytea"
    return f"{builder.param(payload.body, payload)}::{parameter.type}"
