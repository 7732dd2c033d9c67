"""What a secret may be, and what each key of it may verify."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from pgrest.jwt import BadKeysError, read_keys, verify_token
from tests.pgrest.jwt.signing import ED448, KEYS, PASSPHRASE, RSA, public_jwk, read_jwks, sign

CLAIMS = {"role": "web_reader"}


@pytest.mark.parametrize("algorithm", KEYS)
def test_every_algorithm_verifies_with_its_key(algorithm: str) -> None:
    keys = read_jwks(public_jwk(KEYS[algorithm]))
    assert verify_token(sign(algorithm, CLAIMS), keys) == CLAIMS


def test_a_private_key_verifies_what_it_signed() -> None:
    for algorithm in ("RS256", "ES256", "EdDSA"):
        keys = read_jwks(KEYS[algorithm].as_dict(private=True))
        assert verify_token(sign(algorithm, CLAIMS), keys) == CLAIMS
    assert verify_token(sign("EdDSA", CLAIMS, key=ED448), read_jwks(public_jwk(ED448))) == CLAIMS


def test_one_key_and_a_set_of_one_are_the_same() -> None:
    jwk = public_jwk(RSA)
    assert read_keys(json.dumps(jwk).encode()) == read_jwks(jwk)
    assert read_keys(PASSPHRASE) == read_keys(PASSPHRASE)
    assert read_keys(PASSPHRASE) != read_keys(PASSPHRASE + b"!")


@pytest.mark.parametrize(
    ("members", "accepted"),
    [
        ({}, {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        ({"alg": "RS256"}, {"RS256"}),
        ({"alg": "PS512", "use": "sig", "key_ops": ["verify"]}, {"PS512"}),
        ({"alg": "HS256"}, set()),
        ({"alg": "RSA-OAEP"}, set()),
        ({"use": "enc"}, set()),
        ({"key_ops": ["encrypt", "wrapKey"]}, set()),
    ],
)
def test_what_a_key_says_of_itself_narrows_its_use(members: dict[str, Any], accepted: set[str]) -> None:
    keys = read_jwks(public_jwk(RSA, **members))
    assert {algorithm for key in keys for algorithm in key.algorithms} == accepted


def test_a_passphrase_is_for_hs256_alone() -> None:
    [key] = read_keys(PASSPHRASE)
    assert key.algorithms == {"HS256"}


def test_keys_of_kinds_that_we_do_not_know_are_left_out() -> None:
    stranger = {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}
    bitcoin = {"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA"}
    assert len(read_jwks(stranger, bitcoin, public_jwk(RSA))) == 1
    assert read_jwks() == ()


@pytest.mark.parametrize(
    "secret",
    [
        b"too short",
        b'{"keys": 1}',
        b'{"keys": ["x"]}',
        b'{"kty": "oct"}',
        b'{"kty": "oct", "k": ""}',
        b'{"kty": "oct", "k": "not base64url!"}',
        b'{"kty": "oct", "k": 7}',
        b'{"kty": 7}',
        b'{"keys": [{}]}',
        b'{"kty": "RSA", "e": "AQAB"}',
        b'{"kty": "RSA", "e": "AQAB", "n": "AAAA"}',
        b'{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}',
        b'{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}',
        b'{"kty": "oct", "k": "AAAA", "use": "both"}',
        b'{"kty": "oct", "k": "AAAA", "key_ops": "verify"}',
        b'{"kty": "oct", "k": "AAAA", "kid": 1}',
        b'[{"kty": "oct", "k": "c2VjcmV0IGluIGEgbGlzdCBvZiBrZXlz"}]',
    ],
)
def test_a_secret_that_is_no_key_is_one_sentence_without_it(secret: bytes) -> None:
    with pytest.raises(BadKeysError, match=r"^[^\n]{10,120}$") as raised:
        read_keys(secret)
    assert "AAAA" not in str(raised.value)


def test_a_public_key_in_another_form_is_never_a_passphrase() -> None:
    pem = RSA.public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(BadKeysError, match="PEM"):
        read_keys(pem)
