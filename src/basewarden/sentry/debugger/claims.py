"""Who a trial is: the claims of a token as PostgREST hands them to the database."""

import json
from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from basewarden.errors import Invalid
from pgrest import Statement, quote_ident, set_settings

MAX_CLAIMS: Final = 8_000
_OF_CALLER: Final = "role"
_SIGNED_OUT: Final = "anon"
_OLD: Final = ("sub", "role", "email")
"""What older versions of PostgREST set one by one, and policies still read."""


def make_user_id() -> str:
    """Of a made-up user, who owns no row."""
    return str(uuid4())


def read_claims(text: str, role: str, user_id: str) -> Mapping[str, Any]:
    """The typed claims with the chosen role and user; the public key, which a signed-out caller has, names no user.

    Raises Invalid.
    """
    typed = _parse(text) if text.strip() else {}
    claims: dict[str, Any] = {}
    if role != _SIGNED_OUT:
        claims = {"aud": "authenticated", "email": "debugger@example.invalid", "is_anonymous": False}
    claims |= typed
    if user_id.strip() and role != _SIGNED_OUT:
        claims["sub"] = user_id.strip()
    return {**claims, _OF_CALLER: role}


def _parse(text: str) -> dict[str, Any]:
    if len(text) > MAX_CLAIMS:
        raise Invalid.field("claims", f"At most {MAX_CLAIMS:,} characters.")
    try:
        claims = json.loads(text)
        text.encode()
        is_valid = isinstance(claims, dict) and "\\u0000" not in text and "\0" not in text
        json.dumps(claims, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        is_valid = False
    if not is_valid:
        raise Invalid.field("claims", 'Enter a JSON object, such as {"app_metadata": {"plan": "pro"}}.')
    found: dict[str, Any] = claims
    return found


def become(role: str, claims: Mapping[str, Any], schema: str, method: str, path: str) -> list[Statement]:
    """What the API does before a request: its settings, its search path, and the role, which comes last."""
    settings: dict[str, str | None] = {
        "request.jwt.claims": json.dumps(claims, ensure_ascii=False),
        **{f"request.jwt.claim.{name}": _as_text(claims.get(name)) for name in _OLD},
        "request.method": method,
        "request.path": path,
        "request.headers": "{}",
        "request.cookies": "{}",
        "search_path": f"{quote_ident(schema)}, public, extensions",
    }
    return [set_settings(settings), Statement(f"SET LOCAL ROLE {quote_ident(role)}")]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
