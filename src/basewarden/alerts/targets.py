"""The URLs of targets. They are untrusted, and secrets: who knows the URL of a Slack webhook can post there."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from basewarden.alerts.models import AlertChannel
from basewarden.connections.rest import RestAddress

MAX_URL_LENGTH = 2000
_PORTS: Final = {"https": 443, "http": 80}
_HINT_LENGTH = 4
_SHORTEST_PATH = 16
"""A shorter path is not shown at all, because its end would be too large a part of it."""
_INVALID: Final = frozenset(' \\"<>')
_HOSTS: Final = {
    "hooks.slack.com": AlertChannel.SLACK,
    "discord.com": AlertChannel.DISCORD,
    "discordapp.com": AlertChannel.DISCORD,
}


@dataclass(frozen=True, slots=True)
class TargetURL:
    """`path` is what follows the host, with the query."""

    address: RestAddress
    path: str

    @property
    def hint(self) -> str:
        """What people see of it: the host, and the last characters."""
        end = self.path[-_HINT_LENGTH:] if len(self.path) >= _SHORTEST_PATH else ""
        return f"{self.address.authority}/\u2026{end}"

    def __repr__(self) -> str:
        return f"TargetURL({self.address.authority!r})"

    def reveal(self) -> str:
        return f"{self.address}{self.path}"


def parse_target(text: str, channel: AlertChannel, *, allow_private: bool) -> TargetURL:
    """Raises ValueError, whose text is a sentence for the person who typed the URL and never contains it."""
    target = _parse(text, allow_private=allow_private)
    known = _HOSTS.get(target.address.host)
    if known is not None and known is not channel:
        raise ValueError(f"This is an address of {known.title()}. Choose {known.title()} as the channel.")
    return target


def parse_saved_target(text: str) -> TargetURL:
    return _parse(text, allow_private=True)


def _parse(text: str, *, allow_private: bool) -> TargetURL:
    text = text.strip()
    if len(text) > MAX_URL_LENGTH or not text.isascii() or not text.isprintable() or _INVALID & {*text}:
        raise ValueError("The URL is too long, or contains a character that is not valid.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("The port must be a number up to 65535.") from None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or (scheme == "http" and not allow_private):
        raise ValueError("Use a URL that begins with https://.")
    if "@" in parts.netloc:
        raise ValueError("Remove the user name and password from the URL.")
    if "#" in text or port == 0:
        raise ValueError("Remove the part after # from the URL." if "#" in text else "The port cannot be 0.")
    query = f"?{parts.query}" if parts.query else ""
    address = RestAddress(scheme, _check_host(parts.hostname), port or _PORTS[scheme])
    return TargetURL(address, f"{parts.path or '/'}{query}")


def _check_host(host: str | None) -> str:
    name = (host or "").rstrip(".")
    if not name or not all(one.isalnum() or one in ".-_:" for one in name):
        raise ValueError("The URL has no host, or one that is not valid.")
    return name
