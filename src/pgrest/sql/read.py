"""The SELECT of a read tree: one lateral join per embedded resource, JSON made by the database."""

from collections.abc import Iterable

from pgrest.query.ranges import Range
from pgrest.query.tree import ColumnRef, Embed, EmbedTest, Output, ReadNode, SpreadField
from pgrest.schema.model import OwnOperators
from pgrest.sql.conditions import (
    all_conditions_sql,
    column_sql,
    order_sql,
    where_clause,
)
from pgrest.sql.text import Builder, operator_sql, quote_column, quote_ident, quote_name, quote_type

_LARGEST = 2**63 - 1
_EVERYTHING = Output(ColumnRef("*"))


def select_sql(builder: Builder, node: ReadNode, parent: str = "") -> str:
    """`parent` is the quoted name of the relation that the node is embedded in."""
    relation = relation_sql(node)
    columns = [
        *_own_columns_sql(builder, node, relation),
        *(column for embed in node.embeds for column in _embed_columns_sql(embed)),
    ]
    joins = "".join(_join_sql(builder, embed, relation) for embed in node.embeds)
    conditions = [
        *all_conditions_sql(builder, node.conditions, relation),
        *_join_conditions_sql(node, relation, parent),
    ]
    return (
        f"SELECT {', '.join(columns)} FROM {_from_sql(node, parent)}{joins}{where_clause(conditions)}"
        f"{_group_sql(builder, node, relation)}{order_sql(builder, node.order, relation)}"
        f"{range_sql(builder, node.range)}"
    )


def relation_sql(node: ReadNode) -> str:
    return quote_ident(node.alias)


def range_sql(builder: Builder, asked: Range) -> str:
    limit = "" if asked.limit is None else f" LIMIT {_integer_sql(builder, asked.limit)}"
    offset = "" if asked.lower == 0 else f" OFFSET {_integer_sql(builder, asked.lower)}"
    return f"{limit}{offset}"


def _integer_sql(builder: Builder, number: int) -> str:
    """As a literal: a parameter would hide it from the planner. PostgreSQL says of a parameter what is too large."""
    return f"{number:d}" if abs(number) <= _LARGEST else builder.param(str(number))


# Columns ------------------------------------------------------------------------------------------------


def _own_columns_sql(builder: Builder, node: ReadNode, relation: str) -> list[str]:
    outputs = node.outputs if node.outputs or node.embeds else (_EVERYTHING,)
    return [_output_sql(builder, output, relation) for output in (*outputs, *node.spread_extras)]


def _output_sql(builder: Builder, output: Output, relation: str) -> str:
    of = relation if output.relation is None else quote_ident(output.relation)
    value = column_sql(builder, output.column, of)
    if output.column.transform is not None:
        value = f"{quote_name(output.column.transform)}({value})"
    value = _cast_sql(value, output.cast)
    if output.aggregate is not None:
        value = _aggregate_sql(value, output.aggregate, output.aggregate_cast)
    if output.max_characters is not None:
        value = f"pg_catalog.left({value}, {output.max_characters:d})"
    return value if output.alias is None else f"{value} AS {quote_ident(output.alias)}"


def _cast_sql(value: str, cast: str | None) -> str:
    return value if cast is None else f"CAST({value} AS {quote_type(cast)})"


def _aggregate_sql(value: str, aggregate: str, cast: str | None) -> str:
    return _cast_sql(f"pg_catalog.{aggregate}({value})", cast)


def _embed_columns_sql(embed: Embed) -> list[str]:
    alias, name = quote_ident(embed.node.aggregate_alias), quote_ident(embed.node.name)
    if embed.node.spread is not None:
        return [_spread_column_sql(alias, one) for one in embed.fields]
    if embed.is_hidden:
        return []
    if embed.node.is_to_one:
        return [f"pg_catalog.row_to_json({alias}.*)::pg_catalog.jsonb AS {name}"]
    return [f"COALESCE({alias}.{alias}, '[]') AS {name}"]


def _spread_column_sql(alias: str, one: SpreadField) -> str:
    value = quote_column(alias, one.name)
    if one.aggregate is not None:
        value = _aggregate_sql(value, one.aggregate, one.aggregate_cast)
    return value if one.alias is None else f"{value} AS {quote_ident(one.alias)}"


def _group_sql(builder: Builder, node: ReadNode, relation: str) -> str:
    aggregates = any(output.aggregate for output in node.outputs) or any(
        one.aggregate for embed in node.embeds for one in embed.fields
    )
    if not aggregates:
        return ""
    terms = [
        quote_ident(output.alias) if output.alias is not None else column_sql(builder, output.column, relation)
        for output in node.outputs
        if output.aggregate is None
    ]
    for embed in node.embeds:
        if embed.node.spread is None:
            terms.append(quote_ident(embed.node.name))
        else:
            alias = quote_ident(embed.node.aggregate_alias)
            terms.extend(quote_column(alias, one.alias or one.name) for one in embed.fields if one.aggregate is None)
    return f" GROUP BY {', '.join(terms)}" if terms else ""


# Joins --------------------------------------------------------------------------------------------------


def _from_sql(node: ReadNode, parent: str) -> str:
    relationship = node.relationship
    alias = quote_ident(node.alias)
    if relationship is None:
        return f"{quote_name(node.source)} AS {alias}"
    if relationship.function is not None:
        argument = f"{parent}::{quote_name(relationship.table)}"  # says which of several overloads is meant
        return f"{quote_name(relationship.function)}({argument}) AS {alias}"
    middle = relationship.junction
    junction = "" if middle is None else f", {quote_name(middle.table)} AS {quote_ident(node.junction_alias)}"
    return f"{quote_name(node.source)} AS {alias}{junction}"


def _join_conditions_sql(node: ReadNode, relation: str, parent: str) -> list[str]:
    if node.relationship is None:
        return []
    middle = node.relationship.junction
    if middle is None:
        return _equal_columns_sql(parent, relation, node.relationship.columns, node.key_operators)
    junction = quote_ident(node.junction_alias)
    return [
        *_equal_columns_sql(relation, junction, middle.target_columns, node.target_operators),
        *_equal_columns_sql(parent, junction, middle.source_columns, node.key_operators),
    ]


def _equal_columns_sql(
    left: str, right: str, columns: Iterable[tuple[str, str]], operators: Iterable[OwnOperators | None]
) -> list[str]:
    return [
        f"{quote_column(right, theirs)} {operator_sql(own, '=')} {quote_column(left, ours)}"
        for (ours, theirs), own in zip(columns, operators, strict=True)
    ]


def _join_sql(builder: Builder, embed: Embed, parent: str) -> str:
    node = embed.node
    alias = quote_ident(node.aggregate_alias)
    subquery = select_sql(builder, node, parent)
    kind = "INNER" if node.is_inner else "LEFT"
    is_one_row = node.is_to_one if node.spread is None else node.spread == "one"
    if is_one_row:
        return f" {kind} JOIN LATERAL ({subquery}) AS {alias} ON TRUE"
    extra = "".join(f", {_spread_array_sql(builder, node, one)}" for one in embed.fields)
    condition = f"{alias} IS NOT NULL" if node.is_inner else "TRUE"
    return (
        f" {kind} JOIN LATERAL (SELECT pg_catalog.json_agg({alias})::pg_catalog.jsonb AS {alias}{extra}"
        f" FROM ({subquery}) AS {alias}) AS {alias} ON {condition}"
    )


def _spread_array_sql(builder: Builder, node: ReadNode, one: SpreadField) -> str:
    alias = quote_ident(node.aggregate_alias)
    value = quote_column(alias, one.name)
    order = order_sql(builder, node.spread_order, alias)
    return (
        f"COALESCE(pg_catalog.json_agg({value}{order}), '[]')::pg_catalog.jsonb AS {quote_ident(one.alias or one.name)}"
    )


# Counting -----------------------------------------------------------------------------------------------


def count_sql(builder: Builder, node: ReadNode, parent: str = "") -> str:
    """One row for every row of the root, whatever its limit; inner joins become EXISTS."""
    relation = relation_sql(node)

    def exists_sql(test: EmbedTest) -> str:
        child = next(embed.node for embed in node.embeds if embed.node.aggregate_alias == test.alias)
        return f"{'NOT ' if test.is_empty else ''}EXISTS ({count_sql(builder, child, relation)})"

    conditions = [
        *all_conditions_sql(builder, node.conditions, relation, exists_sql),
        *_join_conditions_sql(node, relation, parent),
        *(f"EXISTS ({count_sql(builder, embed.node, relation)})" for embed in node.embeds if embed.node.is_inner),
    ]
    return f"SELECT 1 FROM {_from_sql(node, parent)}{where_clause(conditions)}"
