"""Device cookies: a browser that signed in to an account before is recognised when it does so again.

It has an attempt limit of its own, so that strangers who use up the limits of the account or of the whole deployment
do not lock its owner out (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). A cookie is valid for one
email address and does not sign in: the password is still required. Nothing is stored; our secret signs it.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from basewarden.accounts.addresses import make_email_key
from basewarden.accounts.signin.sessions import read_cookie
from basewarden.core.secret import Secret
from basewarden.core.tokens import make_opaque_token
from basewarden.settings import Settings
from basewarden.web import device_cookie_name

TTL = timedelta(days=180)
_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Device:
    """The parsed cookie of a request, before its signature is checked."""

    issued_at: int
    nonce: str
    mac: str


class Devices:
    def __init__(self, settings: Settings, secret: Secret) -> None:
        self._cookie_name = device_cookie_name(settings)
        self._key = hmac.digest(secret.reveal().encode(), b"device cookies", sha256)

    def read(self, scope: Any) -> Device | None:
        return _parse(read_cookie(scope, self._cookie_name) or "")

    def issue(self, email: str) -> str:
        """Makes a cookie's value. Call it only after the account's password, or a link from an email, was checked."""
        issued_at, nonce = int(datetime.now(UTC).timestamp()), make_opaque_token()
        return f"{issued_at}.{nonce}.{self._sign(issued_at, nonce, email)}"

    def is_known(self, device: Device | None, email: str) -> bool:
        """Whether this browser has signed in to the account with this email address before."""
        if device is None or not hmac.compare_digest(device.mac, self._sign(device.issued_at, device.nonce, email)):
            return False
        return datetime.now(UTC).timestamp() - device.issued_at < TTL.total_seconds()

    def _sign(self, issued_at: int, nonce: str, email: str) -> str:
        message = f"{issued_at}.{nonce}.{make_email_key(email)}"
        return hmac.digest(self._key, message.encode(), sha256).hex()


def _parse(cookie: str) -> Device | None:
    """None for anything that does not have the form of our cookies."""
    parts = cookie.split(".")
    if len(cookie) > _MAX_LENGTH or not cookie.isascii() or len(parts) != 3 or not parts[0].isdigit():
        return None
    return Device(int(parts[0]), parts[1], parts[2])
