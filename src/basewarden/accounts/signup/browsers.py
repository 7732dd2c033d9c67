"""The cookie of a browser that signed up: the link in the email signs in there and nowhere else.

A link alone must not sign in: a person who gets another one to open it would put them into a stranger's account (login
CSRF), and an owner of the address would enter an account whose password a stranger chose. The cookie alone opens
nothing. It is issued for every sign-up, also for an address that has an account, whose id it then does not name.
"""

import hmac
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from basewarden.accounts.links import VERIFY_TTL
from basewarden.core.secret import Secret

TTL = VERIFY_TTL
_MAX_LENGTH = 200


class SignUpBrowsers:
    """Nothing is stored; our secret signs the cookie."""

    def __init__(self, secret: Secret) -> None:
        self._key = hmac.digest(secret.reveal().encode(), b"sign-up cookies", sha256)

    def issue(self, user_id: UUID) -> str:
        issued_at = int(datetime.now(UTC).timestamp())
        return f"{issued_at}.{self._sign(issued_at, user_id)}"

    def has_signed_up(self, cookie: str, user_id: UUID) -> bool:
        """Whether this browser has signed up for this account within a day."""
        issued_at, _, mac = cookie.partition(".")
        if len(cookie) > _MAX_LENGTH or not cookie.isascii() or not issued_at.isdigit():
            return False
        if not hmac.compare_digest(mac, self._sign(int(issued_at), user_id)):
            return False
        return datetime.now(UTC).timestamp() - int(issued_at) < TTL.total_seconds()

    def _sign(self, issued_at: int, user_id: UUID) -> str:
        return hmac.digest(self._key, f"{issued_at}.{user_id}".encode(), sha256).hex()
