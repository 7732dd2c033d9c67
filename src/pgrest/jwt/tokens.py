"""From a token to what it claims, once its signature has been checked."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from pgrest.jwt.base64url import decode_base64url
from pgrest.jwt.keys import JwtKey, find_candidates
from pgrest.jwt.refusals import unacceptable_claims, undecodable_token

_ALGORITHMS = frozenset(f"{family}{size}" for family in ("HS", "RS", "PS", "ES") for size in (256, 384, 512)) | {
    "EdDSA"
}
_UNREADABLE = "JWT cryptographic operation failed"
_DEEPEST = 200
"""Claims nested deeper than any reader of ours goes."""


def verify_token(token: bytes, keys: Sequence[JwtKey]) -> dict[str, Any]:
    """The claims of a token that one of the keys has signed. Whether they hold now is another question."""
    if not token:
        raise undecodable_token("Empty JWT is sent in Authorization header")
    parts = token.split(b".")
    if len(parts) != 3:
        raise undecodable_token(f"Expected 3 parts in JWT; got {len(parts)}")
    algorithm, kid = _read_header(_decode(parts[0]))
    payload = _decode(parts[1])
    if algorithm == "none":
        details = "JWT is unsecured but expected 'alg' was not 'none'"
        raise undecodable_token("Wrong or unsupported encoding algorithm", details)
    _check_signature(keys, algorithm, kid, token[: token.rindex(b".")], _decode(parts[2]))
    return _read_claims(payload)


def _decode(part: bytes) -> bytes:
    try:
        return decode_base64url(part)
    except ValueError:
        raise undecodable_token(_UNREADABLE) from None


def _read_header(text: bytes) -> tuple[str, str | None]:
    header = _read_object(text)
    if header is None:
        raise undecodable_token(_UNREADABLE)
    algorithm = header.get("alg")
    if algorithm == "none":
        return "none", None
    texts = [header.get(name) for name in ("kid", "typ", "cty")]
    is_plain = all(value is None or isinstance(value, str) for value in texts)
    # `enc` is of encrypted tokens; `crit` names what a reader must understand, and we understand nothing beyond
    if algorithm not in _ALGORITHMS or not is_plain or "enc" in header or "crit" in header:
        raise undecodable_token(_UNREADABLE)
    return algorithm, texts[0]


def _check_signature(keys: Sequence[JwtKey], algorithm: str, kid: str | None, signed: bytes, signature: bytes) -> None:
    candidates = find_candidates(keys, algorithm, kid)
    if not candidates:
        details = "No suitable key was found to decode the JWT"
    elif any(key.verify(algorithm, signed, signature) for key in candidates):
        return
    else:
        details = "None of the keys was able to decode the JWT"
    raise undecodable_token("No suitable key or wrong key type", details)


def _read_claims(text: bytes) -> dict[str, Any]:
    claims = _read_object(text)
    if claims is None:
        raise unacceptable_claims("Parsing claims failed")
    return claims


def _read_object(text: bytes) -> dict[str, Any] | None:
    """Strict JSON: no NaN, no lone surrogate, no number too large for a float or 64 bits, no name twice, not deep."""
    try:
        value = msgspec.json.decode(text)
        if isinstance(value, dict) and text.count(b":") > len(value):
            json.loads(text, object_pairs_hook=_refuse_twins)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _is_shallow(text, value) else None


def _refuse_twins(pairs: list[tuple[str, Any]]) -> None:
    """Which of two counts is read differently by different readers, and one of them may be the token's issuer."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name stands twice")


def _is_shallow(text: bytes, read: dict[str, Any]) -> bool:
    """How deep Python itself goes is another matter with each of its versions."""
    if text.count(b"[") + text.count(b"{") <= _DEEPEST:
        return True
    level: list[Any] = [read]
    for _ in range(_DEEPEST):
        level = [inner for value in level for inner in _inner_values(value)]
        if not level:
            return True
    return False


def _inner_values(value: Any) -> Sequence[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()
