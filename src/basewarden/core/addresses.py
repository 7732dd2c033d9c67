"""Paths of the pages of a table and of a row: names and keys of any characters, as one segment of the path each.

A segment is percent-encoded twice, so that a server that decodes the path before it splits it at slashes still finds
one segment. No segment begins with "+", which marks an action: `/+new`.
"""

from collections.abc import Sequence
from urllib.parse import quote, unquote

_SAFE = "-_~:@ "
_EMPTY = "%"  # not the percent-encoding of any text


def encode_table(schema: str, name: str) -> str:
    return f"{_encode(schema)}.{_encode(name)}"


def decode_table(segment: str) -> tuple[str, str] | None:
    schema, dot, name = segment.partition(".")
    return (_decode(schema), _decode(name)) if dot and schema and name else None


def encode_row(key: Sequence[str]) -> str:
    """`key` are the texts of the key's columns, in the order of the key."""
    return ",".join(_encode(part) for part in key)


def decode_row(segment: str) -> tuple[str, ...]:
    return tuple(_decode(part) for part in segment.split(","))


def data_path(connection_id: object) -> str:
    return f"/c/{connection_id}/data"


def table_path(connection_id: object, schema: str, name: str) -> str:
    return f"{data_path(connection_id)}/{quote(encode_table(schema, name), safe='')}"


def policies_path(connection_id: object, schema: str, name: str) -> str:
    """The page of a table's row security."""
    return f"/c/{connection_id}/sentry/tables/{quote(encode_table(schema, name), safe='')}"


def row_path(connection_id: object, schema: str, name: str, key: Sequence[str]) -> str:
    return f"{table_path(connection_id, schema, name)}/{quote(encode_row(key), safe=',:@')}"


def _encode(part: str) -> str:
    return quote(part, safe=_SAFE).replace(".", "%2E") if part else _EMPTY


def _decode(part: str) -> str:
    return "" if part == _EMPTY else unquote(part)
