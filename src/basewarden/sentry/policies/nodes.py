"""Reads nodes of a parsed expression. Pure."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import postgast

Node = Any
"""Of libpg_query, which has no types of its own."""
EQUAL_LIKE: Final = frozenset({"=", "@>", "<@", "&&", "?", "?|", "?&", "~~", "~~*", "~", "~*", "@@", "^@"})
UNEQUAL: Final = {"<>": "=", "!=": "=", "!~~": "~~", "!~~*": "~~*", "!~": "~", "!~*": "~*"}
OPPOSITE: Final = {">=": "<", "<=": ">"}
_TESTS: Final = EQUAL_LIKE | UNEQUAL.keys() | OPPOSITE.keys() | {"<", ">"}
_AGGREGATES: Final = frozenset(
    {"count", "sum", "min", "max", "avg", "bool_or", "bool_and", "every", "array_agg", "json_agg", "jsonb_agg"}
)
_TEST_KINDS: Final = frozenset(
    {
        "AEXPR_OP_ANY",
        "AEXPR_OP_ALL",
        "AEXPR_IN",
        "AEXPR_DISTINCT",
        "AEXPR_NOT_DISTINCT",
        "AEXPR_LIKE",
        "AEXPR_ILIKE",
    }
)


def open_node(node: Node) -> tuple[str, Node]:
    kind = node.WhichOneof("node")
    if kind is None:
        raise ValueError("an empty node")
    return kind, getattr(node, kind)


def is_test(node: Node) -> bool:
    kind = postgast.pg_query_pb2.A_Expr_Kind.Name(node.kind)
    return kind in _TEST_KINDS or (kind == "AEXPR_OP" and node.name[-1].string.sval in _TESTS)


def is_simple(select: Node) -> bool:
    """Neither a set operation nor one with a CTE, and with all its rows."""
    is_plain = postgast.pg_query_pb2.SetOperation.Name(select.op) == "SETOP_NONE"
    return is_plain and not select.HasField("with_clause") and not select.HasField("having_clause")


def counts_rows(target: Node) -> bool:
    kind, inner = open_node(target)
    return kind == "func_call" and inner.funcname[-1].string.sval in {"count", "exists"}


def adds_up(select: Node) -> bool:
    """An aggregate of no row is a row."""
    targets = [open_node(target.res_target.val) for target in select.target_list]
    names = [inner.funcname[-1].string.sval for kind, inner in targets if kind == "func_call"]
    return not select.group_clause and not _AGGREGATES.isdisjoint(names)


def list_relations(items: Iterable[Node]) -> Iterator[tuple[str, str]]:
    """Alias and full name."""
    for item in items:
        kind, inner = open_node(item)
        if kind == "range_var":
            name = f"{inner.schemaname}.{inner.relname}" if inner.schemaname else inner.relname
            yield (inner.alias.aliasname or inner.relname), name
        elif kind == "join_expr":
            yield from list_relations((inner.larg, inner.rarg))
        elif inner.HasField("alias"):
            yield inner.alias.aliasname, kind


def list_joins(items: Iterable[Node]) -> Iterator[Node]:
    """Inner ones: what an outer join asks for takes no row away."""
    for item in items:
        kind, inner = open_node(item)
        if kind == "join_expr" and postgast.pg_query_pb2.JoinType.Name(inner.jointype) == "JOIN_INNER":
            yield inner
            yield from list_joins((inner.larg, inner.rarg))
