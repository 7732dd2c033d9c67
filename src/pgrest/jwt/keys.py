"""The keys that tokens are checked with, read once from `jwt-secret`.

What a key may verify is settled here, by its type and by what it says of itself; a token can only choose among that.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pgrest.jwt.base64url import decode_base64url

Verify = Callable[[str, bytes, bytes], bool]
"""(algorithm, what is signed, signature) -> whether the signature is the key's"""

_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
_SHORTEST_PASSPHRASE = 32


class BadKeysError(ValueError):
    """One sentence for the operator; never quotes the secret."""


@dataclass(frozen=True, slots=True)
class JwtKey:
    """Equal keys verify the same tokens."""

    algorithms: frozenset[str]
    material: tuple[bytes | str, ...] = field(repr=False)
    verify: Verify = field(repr=False, compare=False)
    kid: str | None = None


def read_keys(secret: bytes) -> tuple[JwtKey, ...]:
    """The keys of a passphrase, of a JSON Web Key or of a set of them; those that we cannot use are left out."""
    found = _read_json(secret)
    if isinstance(found, dict) and "keys" in found:
        members = found["keys"]
        if not isinstance(members, list):
            raise BadKeysError("jwt-secret is a set of keys whose `keys` is no array")
        return tuple(key for member in members if (key := read_jwk(member)) is not None)
    if isinstance(found, dict) and "kty" in found:
        key = read_jwk(found)
        return () if key is None else (key,)
    _check_passphrase(secret, found)
    return (_make_hmac_key(secret, frozenset({"HS256"})),)


def read_jwk(jwk: Any) -> JwtKey | None:
    """None for a key of a kind, a curve, an algorithm or a use that has no place here."""
    if not isinstance(jwk, dict):
        raise BadKeysError("a key of jwt-secret is no object")
    kid, algorithm = _text(jwk, "kid"), _text(jwk, "alg")
    if not _is_for_verifying(jwk):
        return None
    key = _make_key(jwk)
    if key is None:
        return None
    algorithms = key.algorithms if algorithm is None else key.algorithms & {algorithm}
    return JwtKey(algorithms, key.material, key.verify, kid) if algorithms else None


def _is_for_verifying(jwk: Mapping[str, Any]) -> bool:
    use, operations = _text(jwk, "use"), jwk.get("key_ops")
    if use not in (None, "sig", "enc"):
        raise BadKeysError("`use` of a key in jwt-secret is neither sig nor enc")
    if operations is not None and not isinstance(operations, list):
        raise BadKeysError("`key_ops` of a key in jwt-secret is no array")
    return use != "enc" and (operations is None or "verify" in operations)


def _make_key(jwk: Mapping[str, Any]) -> JwtKey | None:
    match _text(jwk, "kty"):
        case "oct":
            return _make_hmac_key(_bytes(jwk, "k"), frozenset(_HASHES))
        case "RSA":
            return _make_asymmetric_key("RSA", {"n": _bytes(jwk, "n"), "e": _bytes(jwk, "e")})
        case "EC":
            parts = {"x": _bytes(jwk, "x"), "y": _bytes(jwk, "y")}
            return _make_asymmetric_key(_text(jwk, "crv") or "", parts)
        case "OKP":
            return _make_asymmetric_key(_text(jwk, "crv") or "", {"x": _bytes(jwk, "x")})
        case None:
            raise BadKeysError("a key of jwt-secret has no `kty`")
    return None


def _make_hmac_key(secret: bytes, algorithms: frozenset[str]) -> JwtKey:
    if not secret:
        raise BadKeysError("a key of jwt-secret is empty, so that anybody could sign with it")

    def verify(algorithm: str, signed: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, signed, _HASHES[algorithm]), signature)

    return JwtKey(algorithms, (secret,), verify)


def _make_asymmetric_key(kind: str, parts: Mapping[str, bytes]) -> JwtKey | None:
    from pgrest.jwt.asymmetric import CURVES, make_verify  # noqa: PLC0415 - a passphrase starts without it

    if kind not in CURVES:
        return None
    try:
        verify = make_verify(kind, parts)
    except ValueError:
        raise BadKeysError(f"a key of jwt-secret is no {kind} key") from None
    return JwtKey(CURVES[kind], (kind, *parts.values()), verify)


# Reading ------------------------------------------------------------------------------------------------


def _read_json(secret: bytes) -> Any:
    try:
        return msgspec.json.decode(secret)
    except (ValueError, RecursionError):
        return None


def _check_passphrase(secret: bytes, found: Any) -> None:
    """A public key that passed for a passphrase would let everybody who knows it sign."""
    if secret.lstrip().startswith(b"-----BEGIN "):
        raise BadKeysError("jwt-secret is a PEM file; give the key as a JSON Web Key")
    if isinstance(found, list) and any(isinstance(one, dict) and "kty" in one for one in found):
        raise BadKeysError('jwt-secret is a list of keys; a set of them is {"keys": […]}')
    if len(secret) < _SHORTEST_PASSPHRASE:
        raise BadKeysError(f"jwt-secret must be at least {_SHORTEST_PASSPHRASE} characters long")


def _text(jwk: Mapping[str, Any], name: str) -> str | None:
    value = jwk.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadKeysError(f"`{name}` of a key in jwt-secret is no text")


def _bytes(jwk: Mapping[str, Any], name: str) -> bytes:
    value = _text(jwk, name)
    if value is None:
        raise BadKeysError(f"a key of jwt-secret lacks `{name}`")
    try:
        return decode_base64url(value.encode())
    except ValueError:
        raise BadKeysError(f"`{name}` of a key in jwt-secret is not base64url") from None


def find_candidates(keys: Sequence[JwtKey], algorithm: str, kid: str | None) -> list[JwtKey]:
    """Those that may verify a token of this header. A token that names a key is checked with that one only."""
    return [key for key in keys if algorithm in key.algorithms and (kid is None or kid == key.kid)]
