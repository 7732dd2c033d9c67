"""A request's path and query as they go out: spelled anew from what was understood, or as they came."""

import re
from typing import Final
from urllib.parse import quote

from basewarden.gateway.caller import Caller
from pgrest import Request, split_optional_pairs

_ONCE: Final = frozenset({"select", "columns", "on_conflict"})
_NOT_IN_QUERIES = re.compile(rb"[^!-~]|#")


def encode_query(caller: Caller, query: bytes) -> str:
    return _escape(query) if caller.tables is None else _spell_anew(query)


def encode_path(request: Request) -> str:
    """What follows the API's address, percent-encoded anew from what was understood."""
    name = quote(request.resource.name, safe="")
    return {"root": "/", "function": f"/rpc/{name}", "table": f"/{name}"}[request.resource.kind]


def _escape(query: bytes) -> str:
    """As it came, but for bytes that have no place in a request line."""
    return _NOT_IN_QUERIES.sub(lambda found: b"%%%02X" % ord(found[0]), query).decode("ascii")


def _spell_anew(query: bytes) -> str:
    """For a caller with a list of tables: what was checked and nothing else, spelled so that nobody reads it otherwise.

    Of what counts once the first counts.
    """
    seen: set[str] = set()
    kept = []
    for name, value in split_optional_pairs(query, "the query string"):
        if value is None or (name in _ONCE and name in seen):
            continue
        seen.add(name)
        kept.append(f"{quote(name, safe='')}={quote(value, safe='')}")
    return "&".join(kept)
