"""Encodes a request's path and query for the project's API: from the parsed request, or as they came."""

import re
from typing import Final
from urllib.parse import quote

from basewarden.gateway.caller import Caller
from pgrest import Request, split_optional_pairs

_ONCE: Final = frozenset({"select", "columns", "on_conflict"})
_NOT_IN_QUERIES = re.compile(rb"[^!-~]|#")


def encode_query(caller: Caller, query: bytes) -> str:
    return _escape(query) if caller.policy.names is None else _encode_checked(query)


def encode_path(request: Request) -> str:
    """The path below the API's address, percent-encoded from the parsed request."""
    name = quote(request.resource.name, safe="")
    return {"root": "/", "function": f"/rpc/{name}", "table": f"/{name}"}[request.resource.kind]


def _escape(query: bytes) -> str:
    """As it came, but for bytes that have no place in a request line."""
    return _NOT_IN_QUERIES.sub(lambda found: b"%%%02X" % ord(found[0]), query).decode("ascii")


def _encode_checked(query: bytes) -> str:
    """For a caller with a table list: only what was checked, encoded so that it has one meaning.

    Of parameters that count once, the first is kept.
    """
    seen: set[str] = set()
    kept = []
    for name, value in split_optional_pairs(query, "the query string"):
        if value is None or (name in _ONCE and name in seen):
            continue
        seen.add(name)
        kept.append(f"{quote(name, safe='')}={quote(value, safe='')}")
    return "&".join(kept)
