"""A project's OpenAPI documents: read within one budget for all schemas, and decoded in small pieces.

A document of many megabytes decoded at once would hold up the process, also from a thread; so what is not needed stays
undecoded, and each table and function is decoded by itself.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from basewarden.connections.rest.budgets import MOST_ELEMENTS, check_elements
from basewarden.connections.rest.wire import Garbled

MAX_BYTES = 32 * 1024 * 1024
"""Of all documents of a project together."""

MAX_COLUMNS = 200_000
"""Of all tables of a project together; what is known of each is kept as long as the project is in use."""

MAX_VALUES_OF_ONE = 50_000
"""Of one table or function: PostgreSQL has 1,600 columns."""

_METHODS = ("get", "post", "patch", "put", "delete")


class _Document(msgspec.Struct):
    info: msgspec.Raw = msgspec.Raw(b"null")
    paths: msgspec.Raw = msgspec.Raw(b"null")
    definitions: msgspec.Raw = msgspec.Raw(b"null")


_decode_document = msgspec.json.Decoder(_Document).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_FAILURES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_documents(bodies: Mapping[str, bytes]) -> dict[str, dict[str, Any]]:
    """Of each schema `info`, `paths` (of a table's the methods alone) and `definitions`, as far as they are objects.

    A body that is no JSON object is left out. Raises Garbled where all together hold more values than is allowed.
    """
    left = MOST_ELEMENTS
    for body in bodies.values():
        left -= check_elements(body, left)
    documents = {schema: found for schema, body in bodies.items() if (found := _read_document(body))}
    if sum(_count_columns(document) for document in documents.values()) > MAX_COLUMNS:
        raise Garbled("It lists too many columns.")
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
    methods = _list_members(raw)  # what they hold stays undecoded
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
