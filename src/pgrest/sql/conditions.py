"""Conditions, columns and orders as SQL."""

from collections.abc import Callable, Iterable

from pgrest.query.grammar.nodes import Compare, DistinctFrom, InList, IsTest, TextSearch
from pgrest.query.tree import BooleanTree, ColumnRef, EmbedTest, OrderBy, Test, TreeCondition
from pgrest.schema.model import ComputedColumn
from pgrest.sql.text import Builder, array_literal, operator_sql, quote_column, quote_ident, quote_literal, quote_name

_COMPARISONS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "~~",
    "ilike": "~~*",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
}
_IS = {"null": "NULL", "not_null": "NOT NULL", "true": "TRUE", "false": "FALSE", "unknown": "UNKNOWN"}
_SEARCHES = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}

EmbedTestSql = Callable[[EmbedTest], str]


def embed_test_sql(one: EmbedTest) -> str:
    """Embedded rows are joined, so that an empty embed is a null row."""
    return f"{quote_ident(one.alias)} IS {'NOT ' if one.is_empty else ''}DISTINCT FROM NULL"


def condition_sql(builder: Builder, one: TreeCondition, relation: str, embed_sql: EmbedTestSql = embed_test_sql) -> str:
    """`relation` is the quoted name that the columns are looked up in."""
    if isinstance(one, BooleanTree):
        parts = [condition_sql(builder, child, relation, embed_sql) for child in one.children]
        joined = f" {one.operator.upper()} ".join(parts)
        return f"{'NOT ' if one.negated else ''}({joined})"
    if isinstance(one, EmbedTest):
        return embed_sql(one)
    test = f"{column_sql(builder, one.column, relation)} {_operation_sql(builder, one)}"
    return f"NOT {test}" if one.negated else test


def all_conditions_sql(
    builder: Builder,
    conditions: Iterable[TreeCondition],
    relation: str,
    embed_sql: EmbedTestSql = embed_test_sql,
) -> list[str]:
    return [condition_sql(builder, one, relation, embed_sql) for one in conditions]


def where_clause(parts: Iterable[str]) -> str:
    joined = " AND ".join(parts)
    return f" WHERE {joined}" if joined else ""


def _operation_sql(builder: Builder, test: Test) -> str:
    one, transform = test.operation, test.column.transform
    own = None if test.column.path or test.column.search is not None else test.column.own_operators
    match one:
        case Compare(operator, value, quantifier):
            operand = builder.param(value.replace("*", "%") if one.is_pattern else value, one)
            if transform is not None and not one.is_pattern:
                operand = f"{quote_name(transform)}({operand})"
            operand = f"{quantifier.upper()}({operand})" if quantifier else operand
            return f"{operator_sql(own, _COMPARISONS[operator])} {operand}"
        case InList(values):
            return f"{operator_sql(own, '=')} ANY ({_list_sql(builder, test, values)})"
        case IsTest(value):
            return f"IS {_IS[value]}"
        case DistinctFrom(value):
            # IS DISTINCT FROM would look for a `=` along the search path. The value is never null.
            return f"{operator_sql(own, '=')} {builder.param(value)} IS NOT TRUE"
        case TextSearch(operator, value, language):
            search = f"pg_catalog.{_SEARCHES[operator]}({_language_sql(builder, language)}{builder.param(value)})"
            return f"{operator_sql(None, '@@')} {search}"


def _list_sql(builder: Builder, test: Test, values: tuple[str, ...]) -> str:
    """One array parameter, so that the statement is the same for any number of values."""
    elements = builder.param(array_literal(() if values == ("",) else values))
    if test.column.transform is None:
        return elements
    return f"(SELECT {quote_name(test.column.transform)}(pg_catalog.unnest({elements}::pg_catalog.text[])))"


def _language_sql(builder: Builder, language: str | None) -> str:
    return f"{builder.param(language)}, " if language is not None else ""


def column_sql(builder: Builder, column: ColumnRef, relation: str) -> str:
    value = _column_value_sql(builder, column, relation)
    if column.search is None:
        return value
    return f"pg_catalog.to_tsvector({_language_sql(builder, column.search.language)}{value})"


def _column_value_sql(builder: Builder, column: ColumnRef, relation: str) -> str:
    if column.is_whole_row:
        return relation
    if column.mask is not None:
        return f"{'NULL' if column.mask.text is None else quote_literal(column.mask.text)}::pg_catalog.text"
    name = plain_column_sql(column, relation)
    if not column.path:
        return name
    steps = "".join(
        f" {operator_sql(None, step.arrow)} {builder.param(step.operand)}{'::int' if step.is_index else ''}"
        for step in column.path
    )
    return f"{name}{steps}" if column.is_json else f"pg_catalog.to_jsonb({name}){steps}"


def plain_column_sql(column: ColumnRef, relation: str) -> str:
    """Without its path; a name that is no known column is never written where it could mean a function."""
    if column.is_bare:
        return quote_ident(column.name)
    if column.computed is not None and not column.is_returned:
        return computed_sql(column.computed, relation)
    return quote_column(relation, column.name)


def computed_sql(computed: ComputedColumn, relation: str) -> str:
    """By its schema, of a row whose type says which of several functions is meant."""
    return f"{quote_name(computed.function)}({relation})"


def order_sql(builder: Builder, order: Iterable[OrderBy], relation: str) -> str:
    terms = [_order_term_sql(builder, one, relation) for one in order]
    return f" ORDER BY {', '.join(terms)}" if terms else ""


def _order_term_sql(builder: Builder, one: OrderBy, relation: str) -> str:
    of = relation if one.relation is None else quote_ident(one.relation)
    direction = f" {one.direction.upper()}" if one.direction else ""
    nulls = {"nullsfirst": " NULLS FIRST", "nullslast": " NULLS LAST", None: ""}[one.nulls]
    return f"{column_sql(builder, one.column, of)}{direction}{nulls}"
