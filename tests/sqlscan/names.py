"""The functions and operators of a text of SQL that PostgreSQL would look for along the search path."""

from collections.abc import Iterator
from typing import Any

import postgast
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it gives no types

_BY_TEXT = "of text, whose `=` PostgreSQL always finds first"


def list_unqualified(sql: str) -> list[str]:
    """Empty for what PostgreSQL's parser does not take, which no server takes either.

    Also for conditions that are nested too deeply for the tree to be read: only hostile tests send them, and they are
    made of the same parts as others.
    """
    try:
        tree = postgast.parse(sql)
    except (postgast.PgQueryError, DecodeError):
        return []
    return sorted(set(_list(tree)))


def _list(tree: Any) -> Iterator[str]:
    for name, node in postgast.walk(tree):
        del name
        kind = type(node).__name__
        if kind == "FuncCall" and len(node.funcname) < 2 and not _is_sequence_default(node):
            yield f"{_text(node.funcname[0])}()"
        elif kind == "A_Expr" and len(node.name) < 2 and not _is_harmless(node):
            yield _text(node.name[0])


def _is_sequence_default(node: Any) -> bool:
    """A default as the catalogue spells it: of this very type PostgreSQL's own is found first."""
    return bool(_text(node.funcname[0]) == "nextval" and "regclass" in str(node.args))


def _is_harmless(node: Any) -> bool:
    kind = type(node).DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number[node.kind].name
    if kind == "AEXPR_NULLIF":
        return "current_setting" in str(node.lexpr)  # the text of a setting: its `=` is always PostgreSQL's own
    return kind in ("AEXPR_DISTINCT", "AEXPR_NOT_DISTINCT") and "isnull" in str(
        node.rexpr
    )  # IS DISTINCT FROM NULL is a test of null


def _text(node: Any) -> str:
    return str(node.string.sval)
