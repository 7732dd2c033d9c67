"""Opaque random tokens, which are shown once and stored only as a hash."""

import hashlib
import secrets
import zlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH = 32  # 190 bits
_CHECKSUM_LENGTH = 6


def make_opaque_token() -> str:
    """256 random bits, safe in a cookie and in a path."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """SHA-256: enough for a value with 128 bits of entropy or more."""
    return hashlib.sha256(token.encode()).digest()


def make_checked_token(prefix: str) -> str:
    """`<prefix>_<32 random characters><6 checksum characters>`, so that a secret scanner recognizes one offline."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_BODY_LENGTH))
    return f"{prefix}_{body}{_checksum(prefix, body)}"


def is_checked_token(token: str, prefix: str) -> bool:
    head, _, tail = token.partition("_")
    body, checksum = tail[:_BODY_LENGTH], tail[_BODY_LENGTH:]
    if head != prefix or len(tail) != _BODY_LENGTH + _CHECKSUM_LENGTH:
        return False
    return secrets.compare_digest(_checksum(prefix, body).encode(), checksum.encode())


def _checksum(prefix: str, body: str) -> str:
    number = zlib.crc32(f"{prefix}_{body}".encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
