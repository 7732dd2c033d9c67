"""Keys of every kind, and tokens that they have signed; by another implementation than ours."""

import base64
import hashlib
import hmac
import json
import warnings
from typing import Any

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from pgrest.jwt import JwtKey as OurKey
from pgrest.jwt import read_keys

PASSPHRASE = b"a passphrase of at least thirty-two bytes"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
KEYS: dict[str, Key] = {
    "HS256": OctKey.import_key(PASSPHRASE),
    "HS384": OctKey.import_key(PASSPHRASE),
    "HS512": OctKey.import_key(PASSPHRASE),
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA),
    "ES256": ECKey.generate_key("P-256"),
    "ES384": ECKey.generate_key("P-384"),
    "ES512": ECKey.generate_key("P-521"),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}
ED448 = OKPKey.generate_key("Ed448")


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def sign(algorithm: str, claims: Any, *, key: Key | None = None, **header: Any) -> bytes:
    """`claims` may be bytes, which need not be claims at all."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # EdDSA has a younger name, which PostgREST does not know
        signed = jws.serialize_compact({"alg": algorithm, **header}, payload, key or KEYS[algorithm], registry=registry)
    return signed.encode()


def sign_raw(header: bytes, payload: bytes, secret: bytes = PASSPHRASE) -> bytes:
    """A token of this very header, by HMAC whatever the header says."""

    text = f"{encode(header)}.{encode(payload)}".encode()
    return text + b"." + encode(hmac.digest(secret, text, hashlib.sha256)).encode()


def public_jwk(key: Key, **members: Any) -> dict[str, Any]:
    private = isinstance(key, OctKey)
    return {**key.as_dict(private=private), **members}


def read_jwks(*jwks: dict[str, Any]) -> tuple[OurKey, ...]:
    return read_keys(json.dumps({"keys": jwks}).encode())
