"""Base64 as tokens and keys spell it: the URL alphabet, without padding."""

import binascii
import re

_TEXT = re.compile(rb"[A-Za-z0-9_-]*")
_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def decode_base64url(text: bytes) -> bytes:
    """ValueError for a character, a length or a padding that the encoding does not know."""
    if len(text) % 4 == 1 or _TEXT.fullmatch(text) is None:
        raise ValueError("not base64url")
    return binascii.a2b_base64(text.translate(_TO_STANDARD) + b"=" * (-len(text) % 4))
