"""Splits a query string without loss, and writes names and values so that they are taken literally.

This is for code that passes a request on to another server of the same contract.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from pgrest.query.grammar.filters import parse_tree_path
from pgrest.query.payload import split_optional_pairs

QueryPair = tuple[str, str]
_PARAMETERS = frozenset({"select", "columns", "on_conflict"})
_ENDINGS = frozenset({"order", "limit", "offset"})
_LOGIC = frozenset({"and", "or"})
_RESERVED = _PARAMETERS | _ENDINGS | _LOGIC | {"not"}
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_-]+\Z")
_SAFE = "-_.~,:()*"  # what a query may hold as it is, and reads better so


def split_query(query: bytes) -> list[QueryPair]:
    """Names and values, decoded and in order. A name without a value means nothing in this contract."""
    return [(name, value) for name, value in split_optional_pairs(query, "the query string") if value is not None]


def join_query(pairs: Iterable[QueryPair]) -> str:
    return "&".join(f"{quote(name, safe=_SAFE)}={quote(value, safe=_SAFE)}" for name, value in pairs)


def chooses_rows(name: str) -> bool:
    """Whether a parameter filters the request's own rows, and not those of something embedded."""
    ending = name.rpartition(".")[2]
    if name in _PARAMETERS or ending in _ENDINGS:
        return False
    if ending in _LOGIC:
        return name.removeprefix("not.") in _LOGIC
    path, _ = parse_tree_path(name)
    return not path


def split_select(text: str) -> list[str]:
    """The items of a select list: at its commas, but not those inside parentheses or quotes."""
    items, depth, quoted, start, skip = [], 0, False, 0, False
    for place, character in enumerate(text):
        if skip:
            skip = False
        elif quoted:
            skip, quoted = character == "\\", character != '"'
        elif character == '"':
            quoted = True
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "," and depth == 0:
            items.append(text[start:place])
            start = place + 1
    items.append(text[start:])
    return [item.strip() for item in items if item.strip()]


def write_name(name: str) -> str:
    """A column's name wherever the grammar takes one; in quotes also where it would be taken for another parameter."""
    return name if _PLAIN_NAME.match(name) and name not in _RESERVED else _quote(name)


def write_element(value: str) -> str:
    """A value inside `in.(…)`, or inside a tree of `and` and `or`."""
    return value if _PLAIN_VALUE.match(value) else _quote(value)


def match_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[QueryPair]:
    """Filters that exactly the rows pass which hold one of `rows` in `columns`; no rows: nothing passes.

    One row is compared value by value, for a list of one empty string would be an empty list.
    """
    if len(rows) == 1:
        return [(write_name(column), f"eq.{value}") for column, value in zip(columns, rows[0], strict=True)]
    if len(columns) == 1 or not rows:
        values = ",".join(write_element(row[0]) for row in rows)
        return [(write_name(columns[0]), f"in.({values})")]
    alternatives = (
        ",".join(f"{write_name(column)}.eq.{write_element(value)}" for column, value in zip(columns, row, strict=True))
        for row in rows
    )
    return [("or", f"({','.join(f'and({one})' for one in alternatives)})")]


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
