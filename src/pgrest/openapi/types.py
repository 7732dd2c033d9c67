"""How a PostgreSQL type and a column's default read in OpenAPI 2."""

import re
from typing import Any

import msgspec

from pgrest.openapi.shared import Described
from pgrest.schema.model import Column

_JSON_TYPES = {
    "boolean": "boolean",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
}
_ANY_JSON = frozenset({"json", "jsonb"})
_FORMATS = {"smallint": "int32", "integer": "int32", "bigint": "int64"}

# Literals as the server spells them back; a cast names any type: words, quoted names, lengths, brackets.
_CAST = r"""(?:::(?:"(?:[^"]|"")+"|\([\d,]+\)|[\w .$])+(?:\[\])*)?"""
_QUOTED = re.compile(rf"'((?:[^']|'')*)'{_CAST}")
_BARE = re.compile(rf"([\w.+-]+){_CAST}")
_NAMING = frozenset("'\".")  # what is not built in is spelled with its schema, or in quotes
_NULL = re.compile(rf"NULL{_CAST}")
_EMPTY_ARRAY = re.compile(rf"(?:'\{{\}}'|ARRAY\[\]){_CAST}")


def column_type(column: Column) -> str:
    """Returns the base type of a domain, unless that is a user-defined type; lengths are left out."""
    return column.type if "." in column.base_type else column.base_type


def json_type(type_name: str) -> str | None:
    """None = any JSON value."""
    if type_name in _ANY_JSON:
        return None
    return _JSON_TYPES.get(type_name) or ("array" if type_name.endswith("[]") else "string")


def json_format(type_name: str) -> str:
    return _FORMATS.get(type_name, type_name)


def describe_type(type_name: str, shown: str | None = None) -> Described:
    """`format`, `type` and `items`; `shown` is the type's name for readers, where that is another."""
    kind = json_type(type_name)
    described: Described = {"format": json_format(shown or type_name)}
    if kind is not None:
        described["type"] = kind
    if kind == "array":
        described["items"] = describe_element(type_name)
    return described


def describe_element(array_type: str) -> Described:
    kind = json_type(array_type.removesuffix("[]"))
    return {} if kind is None else {"type": kind}


def read_default(type_name: str, expression: str | None, *, names_others: bool = True) -> Any:
    """The JSON value of a default, None where it has none.

    Text, and whatever JSON shows as text, may default to an expression, which is shown as it is; one that
    names more than built-in functions only where `names_others`.
    """
    if expression is None or _NULL.fullmatch(expression):
        return None
    kind = json_type(type_name)
    if kind == "array":
        return [] if _EMPTY_ARRAY.fullmatch(expression) else None
    if kind != "string":
        return _read_json(kind, expression)
    literal = _QUOTED.fullmatch(expression)
    if literal is not None:
        return literal[1].replace("''", "'")
    return expression if names_others or _NAMING.isdisjoint(expression) else None


def _read_json(kind: str | None, expression: str) -> msgspec.Raw | None:
    """The literal's own digits are kept: a float would lose some of a long numeric."""
    found = _QUOTED.fullmatch(expression) or (_BARE.fullmatch(expression) if kind is not None else None)
    if found is None:
        return None
    text = found[1].replace("''", "'")
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    fits = kind is None or isinstance(value, bool) == (kind == "boolean")
    return msgspec.Raw(text.encode()) if fits and (kind is None or isinstance(value, int | float)) else None
