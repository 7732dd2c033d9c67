"""Signatures by a private key, checked with the public one: RSA, elliptic curves, Edwards curves."""

from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

Verify = Callable[[str, bytes, bytes], bool]
"""As `keys.py` has it, which imports this module."""

CURVES = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA"}),
    "Ed448": frozenset({"EdDSA"}),
}
"""What each kind of key may verify."""
_HASHES: Mapping[str, HashAlgorithm] = {"256": SHA256(), "384": SHA384(), "512": SHA512()}
_ELLIPTIC: Mapping[str, tuple[type[ec.EllipticCurve], HashAlgorithm, int]] = {
    "P-256": (ec.SECP256R1, SHA256(), 32),
    "P-384": (ec.SECP384R1, SHA384(), 48),
    "P-521": (ec.SECP521R1, SHA512(), 66),
}
"""The curve, the hash that goes with it, and the bytes of each half of a signature."""


def make_verify(kind: str, parts: Mapping[str, bytes]) -> Verify:
    """`kind` is one of CURVES. ValueError where the parts make no key."""
    if kind == "RSA":
        return _make_rsa(parts)
    return _make_elliptic(kind, parts) if kind in _ELLIPTIC else _make_edwards(kind, parts)


def _make_rsa(parts: Mapping[str, bytes]) -> Verify:
    numbers = (int.from_bytes(parts[name], "big") for name in ("e", "n"))
    key = rsa.RSAPublicNumbers(*numbers).public_key()

    def verify(algorithm: str, signed: bytes, signature: bytes) -> bool:
        algorithm_hash = _HASHES[algorithm[2:]]
        try:
            key.verify(signature, signed, _choose_padding(algorithm, algorithm_hash), algorithm_hash)
        except InvalidSignature:
            return False
        return True

    return verify


def _choose_padding(algorithm: str, algorithm_hash: HashAlgorithm) -> padding.AsymmetricPadding:
    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(algorithm_hash), padding.PSS.DIGEST_LENGTH)


def _make_elliptic(curve: str, parts: Mapping[str, bytes]) -> Verify:
    kind, algorithm_hash, size = _ELLIPTIC[curve]
    x, y = (int.from_bytes(parts[name], "big") for name in ("x", "y"))
    key = ec.EllipticCurvePublicNumbers(x, y, kind()).public_key()

    def verify(_: str, signed: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * size:
            return False
        halves = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
        try:
            key.verify(encode_dss_signature(*halves), signed, ec.ECDSA(algorithm_hash))
        except InvalidSignature:
            return False
        return True

    return verify


def _make_edwards(curve: str, parts: Mapping[str, bytes]) -> Verify:
    kind = Ed25519PublicKey if curve == "Ed25519" else Ed448PublicKey
    key = kind.from_public_bytes(parts["x"])

    def verify(_: str, signed: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            return False
        return True

    return verify
