"""JSON web tokens: HMAC signatures, the registered claims, and where the role is in them."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from basewarden.pgrest.errors import PgrestError

_SKEW_SECONDS = 30
_HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_PATH_STEP = re.compile(
    r"""\.(?:(?P<key>[A-Za-z0-9_$@]+)|"(?P<quoted>(?:[^"\\]|\\.)*)")"""
    r"""|\[(?P<index>[0-9]+)\]"""
    r"""|\[\?\(@\s*(?P<test>==\^|\^==|\*==|==|!=)\s*"(?P<text>(?:[^"\\]|\\.)*)"\)\]$"""
)
_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "==": lambda given, text: given == text,
    "!=": lambda given, text: given != text,
    "^==": lambda given, text: given.startswith(text),
    "==^": lambda given, text: given.endswith(text),
    "*==": lambda given, text: text in given,
}


@dataclass(frozen=True, slots=True)
class JwtRules:
    """`keys` are secrets, `audience` a pattern, `role_path` as in `.app_metadata.role`."""

    keys: tuple[bytes, ...] = ()
    audience: str | None = None
    role_path: str = ".role"


def invalid_token(message: str, details: str | None = None, code: str = "PGRST301") -> PgrestError:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return PgrestError(401, code, message, details, headers=(("WWW-Authenticate", challenge),))


def anonymous_disabled() -> PgrestError:
    return PgrestError(401, "PGRST302", "Anonymous access is disabled", headers=(("WWW-Authenticate", "Bearer"),))


def decode_token(token: str, rules: JwtRules, now: float) -> dict[str, Any]:
    """The claims of a token that is signed, valid now and meant for us."""
    if not rules.keys:
        raise PgrestError(500, "PGRST300", "Server lacks JWT secret")
    if not token:
        raise invalid_token("Empty JWT is sent in Authorization header")
    parts = token.split(".")
    if len(parts) != 3:
        raise invalid_token(f"Expected 3 parts in JWT; got {len(parts)}")
    _check_signature(parts, rules.keys)
    claims = _decode_json(parts[1])
    if not isinstance(claims, dict):
        raise invalid_token("Parsing claims failed", code="PGRST303")
    _check_claims(claims, rules, int(now))
    return claims


def find_role(claims: Mapping[str, Any], path: str) -> str | None:
    value: Any = claims
    for step in _PATH_STEP.finditer(path):
        value = _take_step(value, step)
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value)


def _take_step(value: Any, step: re.Match[str]) -> Any:
    key = step["key"] or step["quoted"]
    if key is not None:
        return value.get(key) if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    if step["index"] is not None:
        index = int(step["index"])
        return value[index] if index < len(value) else None
    matches = _TESTS[step["test"]]
    return next((one for one in value if isinstance(one, str) and matches(one, step["text"])), None)


def _check_signature(parts: Sequence[str], keys: Sequence[bytes]) -> None:
    header = _decode_json(parts[0])
    algorithm = header.get("alg") if isinstance(header, dict) else None
    if algorithm not in _HASHES:
        raise invalid_token(
            "Wrong or unsupported encoding algorithm", "JWT is unsecured but expected 'alg' was not 'none'"
        )
    signed = f"{parts[0]}.{parts[1]}".encode()
    given = _decode_base64(parts[2])
    expected = (hmac.new(key, signed, _HASHES[algorithm]).digest() for key in keys)
    if not any(hmac.compare_digest(one, given) for one in expected):
        raise invalid_token("No suitable key or wrong key type", "None of the keys was able to decode the JWT")


def _decode_json(part: str) -> Any:
    try:
        return json.loads(_decode_base64(part))
    except (ValueError, RecursionError):
        return None


def _decode_base64(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise invalid_token("JWT cryptographic operation failed") from None


def _check_claims(claims: Mapping[str, Any], rules: JwtRules, now: int) -> None:
    expires = _read_time(claims, "exp")
    if expires is not None and now - _SKEW_SECONDS > expires:
        raise invalid_token("JWT expired", code="PGRST303")
    starts = _read_time(claims, "nbf")
    if starts is not None and now + _SKEW_SECONDS < starts:
        raise invalid_token("JWT not yet valid", code="PGRST303")
    issued = _read_time(claims, "iat")
    if issued is not None and now + _SKEW_SECONDS < issued:
        raise invalid_token("JWT issued at future", code="PGRST303")
    _check_audience(claims.get("aud"), rules.audience)


def _read_time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return value
    raise invalid_token(f"The JWT '{name}' claim must be a number", code="PGRST303")


def _check_audience(given: Any, wanted: str | None) -> None:
    audiences = [given] if isinstance(given, str) else given
    if audiences is None:
        return
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        text = "The JWT 'aud' claim must be a string or an array of strings"
        raise invalid_token(text, code="PGRST303")
    if wanted is not None and audiences and not any(re.fullmatch(wanted, one) for one in audiences):
        raise invalid_token("JWT not in audience", code="PGRST303")
