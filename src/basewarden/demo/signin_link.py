"""The link that `demo` prints: it signs in to the demo's account, once, from this machine only."""

import hmac
import ipaddress
import secrets


class SigninLink:
    """Lives in memory: a restart makes a new one."""

    def __init__(self) -> None:
        self._token: str | None = secrets.token_urlsafe(24)

    @property
    def path(self) -> str:
        return f"/demo/{self._token}"

    def redeem(self, token: str, address: str | None) -> bool:
        """Whether the token was right and unused, and the client is on this machine."""
        if self._token is None or not _is_loopback(address):
            return False
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return False
        self._token = None
        return True


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
