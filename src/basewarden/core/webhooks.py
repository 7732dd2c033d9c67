"""Standard Webhooks: the headers, the keys of secrets, and the signature of a message."""

import base64
import binascii
import hmac
import os
from hashlib import sha256

from basewarden.core.secret import Secret

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)
_NEW_KEY_BYTES = 32
_VERSION = b"v1,"


def make_signing_secret() -> Secret:
    return Secret(_PREFIX + base64.b64encode(os.urandom(_NEW_KEY_BYTES)).decode())


def read_key(text: str) -> bytes:
    """Returns the key of a secret: `whsec_` is removed, and the rest is base64 of 24 to 64 bytes.

    A secret in another form is the key itself, byte for byte.
    """
    bare = text.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    return key if len(key) in _KEY_BYTES else bare.encode("utf-8", "surrogateescape")


def sign(key: bytes, signed: bytes) -> bytes:
    """Returns the signature of `signed`, which is id, timestamp and body joined by dots."""
    return _VERSION + base64.b64encode(hmac.digest(key, signed, sha256))
