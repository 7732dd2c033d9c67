"""Tokens that were not signed with our keys, or that are no tokens."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from pgrest import PgrestError
from pgrest.jwt import read_keys, verify_token
from tests.pgrest.jwt.signing import KEYS, PASSPHRASE, RSA, encode, public_jwk, read_jwks, sign, sign_raw

HS = read_keys(PASSPHRASE)
GOOD = {"role": "web_reader"}
NO_KEY = ("No suitable key or wrong key type", "No suitable key was found to decode the JWT")
WRONG_KEY = ("No suitable key or wrong key type", "None of the keys was able to decode the JWT")
UNREADABLE = ("JWT cryptographic operation failed", None)
UNSIGNED = ("Wrong or unsupported encoding algorithm", "JWT is unsecured but expected 'alg' was not 'none'")


def refusal(token: bytes, keys: Any = HS) -> tuple[str, Any]:
    with pytest.raises(PgrestError) as raised:
        verify_token(token, keys)
    error = raised.value
    assert (error.status, error.code) in {(401, "PGRST301"), (401, "PGRST303")}
    [(name, challenge)] = error.headers
    assert (name, challenge) == (
        "WWW-Authenticate",
        f'Bearer error="invalid_token", error_description="{error.message}"',
    )
    return error.message, error.details


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (b"", "Empty JWT is sent in Authorization header"),
        (b"abc", "Expected 3 parts in JWT; got 1"),
        (b"a.b", "Expected 3 parts in JWT; got 2"),
        (b"a.b.c.d", "Expected 3 parts in JWT; got 4"),
        (b"." * 100_000, "Expected 3 parts in JWT; got 100001"),
    ],
)
def test_a_token_has_three_parts(token: bytes, message: str) -> None:
    assert refusal(token) == (message, None)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"alg": "HS256"',
        b'{"alg": NaN}',
        b'{"alg": 256}',
        b'{"alg": null}',
        b'{"alg": "hs256"}',
        b'{"alg": "None"}',
        b'{"alg": "RSA-OAEP"}',
        b'{"alg": "HS256", "enc": "A128GCM"}',
        b'{"alg": "HS256", "typ": 1}',
        b'{"alg": "HS256", "cty": {}}',
        b'{"alg": "HS256", "kid": 7}',
        b'{"alg": "HS256", "crit": ["b64"], "b64": false}',
        b'{"alg": "HS256", "alg": "none"}',
        b'{"alg": "HS256", "alg": "HS256"}',
        b"[" * 50_000,
        b'{"alg": "HS256", "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
def test_a_header_that_we_do_not_understand_is_refused(header: bytes) -> None:
    assert refusal(sign_raw(header, b'{"role": "web_reader"}')) == UNREADABLE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda parts: [parts[0] + "=", *parts[1:]],
        lambda parts: [parts[0], parts[1] + "!", parts[2]],
        lambda parts: [parts[0], parts[1], parts[2] + "="],
        lambda parts: [parts[0], parts[1], "é"],
        lambda parts: [parts[0], parts[1], "A"],
        lambda parts: [" " + parts[0], parts[1], parts[2]],
        lambda parts: [parts[0], parts[1], parts[2] + " "],
    ],
)
def test_parts_are_strict_base64url(spoil: Any) -> None:
    parts = sign("HS256", GOOD).decode().split(".")
    assert refusal(".".join(spoil(parts)).encode()) == UNREADABLE


def test_no_signature_is_no_signature() -> None:
    for header in (b'{"alg": "none"}', b'{"alg": "none", "kid": 7, "enc": 1}'):
        for signature in ("", "AAAA"):
            token = f"{encode(header)}.{encode(json.dumps(GOOD).encode())}.{signature}"
            assert refusal(token.encode()) == UNSIGNED
    stripped = sign("HS256", GOOD).rpartition(b".")[0] + b"."
    assert refusal(stripped) == WRONG_KEY


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_changed_token_is_refused(algorithm: str) -> None:
    keys = read_jwks(public_jwk(KEYS[algorithm]))
    head, _, signature = sign(algorithm, GOOD).rpartition(b".")
    forged = head.partition(b".")[0] + b"." + encode(b'{"role": "postgres"}').encode()
    assert refusal(forged + b"." + signature, keys) == WRONG_KEY
    for wrong in (b"", signature[:-4], signature + b"AAAA", encode(bytes(64)).encode(), encode(bytes(132)).encode()):
        assert refusal(head + b"." + wrong, keys) == WRONG_KEY


def test_another_key_of_the_same_kind_is_refused() -> None:
    keys = read_jwks(*(public_jwk(KEYS[algorithm]) for algorithm in ("HS256", "RS256", "ES256")))
    for algorithm, key in (
        ("HS256", OctKey.import_key(b"somebody else's passphrase, as long")),
        ("RS256", RSAKey.generate_key(2048)),
        ("PS256", RSAKey.generate_key(2048)),
        ("ES256", ECKey.generate_key("P-256")),
    ):
        assert refusal(sign(algorithm, GOOD, key=key), keys) == WRONG_KEY


def test_an_algorithm_is_only_for_its_kind_of_key() -> None:
    public = RSA.public_key
    forms = [
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        json.dumps(public_jwk(RSA)).encode(),
        base64.urlsafe_b64decode(public_jwk(RSA)["n"] + "=="),
    ]
    for form in forms:  # the public key's bytes as a passphrase
        confused = sign_raw(b'{"alg": "HS256"}', b'{"role": "postgres"}', form)
        assert refusal(confused, read_jwks(public_jwk(RSA))) == NO_KEY
        mislabelled = sign_raw(b'{"alg": "RS256"}', b'{"role": "postgres"}', form)
        assert refusal(mislabelled, read_jwks(public_jwk(RSA))) == WRONG_KEY
    assert refusal(sign("RS256", GOOD), HS) == NO_KEY
    assert refusal(sign("HS512", GOOD), HS) == NO_KEY
    assert refusal(sign("RS512", GOOD), read_jwks(public_jwk(RSA, alg="RS256"))) == NO_KEY
    assert refusal(sign("ES384", GOOD), read_jwks(public_jwk(KEYS["ES256"]))) == NO_KEY
    assert refusal(sign("RS256", GOOD), ()) == NO_KEY


def test_a_key_is_chosen_by_its_id() -> None:
    old, new = OctKey.import_key(b"the passphrase of the day before"), OctKey.import_key(PASSPHRASE)
    keys = read_jwks(public_jwk(old, kid="old"), public_jwk(new, kid="new"))
    assert verify_token(sign("HS256", GOOD, kid="new"), keys) == GOOD
    assert verify_token(sign("HS256", GOOD, key=old, kid="old"), keys) == GOOD
    assert verify_token(sign("HS256", GOOD), keys) == GOOD
    assert verify_token(sign("HS256", GOOD, key=old), keys) == GOOD
    assert refusal(sign("HS256", GOOD, kid="old"), keys) == WRONG_KEY
    assert refusal(sign("HS256", GOOD, kid="older"), keys) == NO_KEY
    assert refusal(sign("HS256", GOOD, kid="x"), HS) == NO_KEY


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"text"',
        b"null",
        b'{"role": "web_reader"',
        b'{"exp": NaN}',
        b'{"exp": Infinity}',
        b'{"exp": 1e999}',
        b'{"exp": ' + b"9" * 6000 + b"}",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'\xef\xbb\xbf{"role": "web_reader"}',
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_claims_are_an_object_of_plain_json(payload: bytes) -> None:
    assert refusal(sign("HS256", payload)) == ("Parsing claims failed", None)


@pytest.mark.parametrize(
    "payload",
    [b'{"role": "a", "role": "b"}', b'{"x": {"y": 1, "\\u0079": 1}}', b'{"a": [{"b": "c:d", "b": 1}], "e": "f"}'],
)
def test_no_claim_stands_twice(payload: bytes) -> None:
    assert refusal(sign("HS256", payload)) == ("Parsing claims failed", None)


def test_many_claims_and_colons_are_no_twins() -> None:
    many = {f"team{n}": [{"id": n, "at": "https://example.com:8443"}] for n in range(500)}
    assert verify_token(sign("HS256", many), HS) == many


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_text_is_anything_but_refused(token: bytes) -> None:
    refusal(token)


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=40))
def test_no_parts_are_anything_but_refused(header: bytes, payload: bytes, signature: bytes) -> None:
    refusal(".".join(map(encode, (header, payload, signature))).encode())
