"""Reads a project's OpenAPI documents within one limit for all schemas, and decodes them in small pieces.

Decoding many megabytes at once would block the process, even in a thread; so each table and function is decoded by
itself, and what is not needed is not decoded.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from basewarden.connections.rest.http_connection import ProtocolError
from basewarden.connections.rest.memory_limits import MAX_ELEMENTS, check_elements

MAX_BYTES = 32 * 1024 * 1024
"""The limit for all documents of a project together."""

MAX_COLUMNS = 200_000
"""The limit for all tables of a project together; they stay in memory while the project is in use."""

MAX_VALUES_OF_ONE = 50_000
"""The limit for one table or function; a table of PostgreSQL has up to 1,600 columns."""

_METHODS = ("get", "post", "patch", "put", "delete")


class _Document(msgspec.Struct):
    info: msgspec.Raw = msgspec.Raw(b"null")
    paths: msgspec.Raw = msgspec.Raw(b"null")
    definitions: msgspec.Raw = msgspec.Raw(b"null")


_decode_document = msgspec.json.Decoder(_Document).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_documents(bodies: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Returns `info`, `paths` (only the methods of tables) and `definitions` of each schema, if they are objects.

    A body that is no JSON object is left out. Raises ProtocolError if all bodies hold more values than allowed.
    """
    left = MAX_ELEMENTS
    for body in bodies.values():
        left -= check_elements(body, left)
    documents = {schema: found for schema, body in bodies.items() if (found := _read_document(body))}
    if sum(_count_columns(document) for document in documents.values()) > MAX_COLUMNS:
        raise ProtocolError("It lists too many columns.")
    return documents


def _count_columns(document: dict[str, Any]) -> int:
    tables = (one.get("properties") for one in document.get("definitions", {}).values() if isinstance(one, dict))
    return sum(len(columns) for columns in tables if isinstance(columns, dict))


def _read_document(body: bytes) -> dict[str, Any]:
    try:
        document = _decode_document(body)
    except _FAILURES:
        return {}
    found: dict[str, Any] = {"info": _decode(document.info)}
    paths, definitions = _list_members(document.paths), _list_members(document.definitions)
    if paths is not None:
        found["paths"] = {path: _read_path(path, raw) for path, raw in paths.items()}
    if definitions is not None:
        found["definitions"] = {name: _decode(raw) for name, raw in definitions.items()}
    return found


def _read_path(path: str, raw: msgspec.Raw) -> Any:
    if path.startswith("/rpc/"):
        return _decode(raw)
    methods = _list_members(raw)  # their contents are not decoded
    return None if methods is None else {method: {} for method in methods if method in _METHODS}


def _list_members(raw: msgspec.Raw) -> dict[str, msgspec.Raw] | None:
    try:
        return _decode_members(raw)
    except _FAILURES:
        return None


def _decode(raw: msgspec.Raw) -> Any:
    text = bytes(raw)
    check_elements(text, MAX_VALUES_OF_ONE)
    try:
        return msgspec.json.decode(text)
    except _FAILURES:
        return None
