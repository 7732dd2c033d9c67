"""Which pages of other origins may call, as PostgREST tells browsers."""

import re
from collections.abc import Mapping, Sequence

from pgrest.response import Header, Response

_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "HEAD")
_ALWAYS_ALLOWED = ("Accept", "Accept-Language", "Content-Language")
_EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, "
    "Transfer-Encoding, Range-Unit"
)
_MAX_AGE = str(24 * 60 * 60)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


def answer_preflight(method: str, headers: Mapping[bytes, bytes], allowed: Sequence[str]) -> Response | None:
    """None for what is no preflight request of an origin that may call: that goes on as any OPTIONS request does."""
    origin = _find_origin(headers)
    wanted = headers.get(b"access-control-request-method", b"").decode("latin-1")
    if method != "OPTIONS" or origin is None or wanted not in _METHODS:
        return None
    permission = _permit(origin, allowed)
    if permission is None:
        return None
    asked = headers.get(b"access-control-request-headers")
    return Response(
        200,
        (
            *permission,
            ("Access-Control-Allow-Methods", ", ".join(_METHODS)),
            *(() if asked is None else (("Access-Control-Allow-Headers", _allow_headers(asked)),)),
            ("Access-Control-Max-Age", _MAX_AGE),
            ("Content-Length", "0"),
        ),
    )


def list_cors_headers(method: str, headers: Mapping[bytes, bytes], allowed: Sequence[str]) -> tuple[Header, ...]:
    """For the answer to a request that is no preflight."""
    origin = None if method == "OPTIONS" else _find_origin(headers)
    permission = None if origin is None else _permit(origin, allowed)
    return () if permission is None else (*permission, ("Access-Control-Expose-Headers", _EXPOSED))


def _find_origin(headers: Mapping[bytes, bytes]) -> str | None:
    origin = headers.get(b"origin")
    if origin is None or headers.get(b"upgrade", b"").lower() == b"websocket":
        return None
    return origin.decode("latin-1")


def _permit(origin: str, allowed: Sequence[str]) -> tuple[Header, ...] | None:
    if not allowed:
        return (("Access-Control-Allow-Origin", "*"),)
    if origin not in allowed:
        return None
    return (("Access-Control-Allow-Origin", origin), ("Access-Control-Allow-Credentials", "true"))


def _allow_headers(asked: bytes) -> str:
    """Whatever is asked for, and what is always allowed, each once."""
    names = [part.strip() for part in _UNPRINTABLE.sub("", asked.decode("latin-1")).split(",")] if asked else []
    known = {name.lower() for name in names}
    return ", ".join(["Authorization", *names, *(one for one in _ALWAYS_ALLOWED if one.lower() not in known)])
