"""Parses the URL of a project's API. It is untrusted, so only scheme, host, port and path are accepted."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from basewarden.connections.urls import URLError

_PORTS: Final = {"https": 443, "http": 80}
_MAX_LENGTH = 500
_SUFFIX = "/rest/v1"
_DASHBOARD: Final = frozenset({"supabase.com", "www.supabase.com", "app.supabase.com", "app.supabase.io"})
_PATH_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")


@dataclass(frozen=True, slots=True)
class RestAddress:
    """The address of a project's API. `base` is the path before a resource's name: `/rest/v1`, or empty."""

    scheme: str
    host: str
    port: int
    base: str = ""

    @property
    def is_encrypted(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.base}"


def parse_project_url(text: str) -> RestAddress:
    """Returns the address with the typed path without `/rest/v1`; the probe finds out whether to append that."""
    text = text.strip()
    if len(text) > _MAX_LENGTH or not text.isprintable() or not text.isascii() or "\\" in text or " " in text:
        raise URLError("The URL is too long, or contains a character that is not valid.")
    if "://" not in text and "." in text.partition("/")[0]:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise URLError("The port must be a number up to 65535.") from None
    if parts.scheme not in _PORTS:
        raise URLError("Use the form https://<project>.supabase.co.")
    if "@" in parts.netloc:
        raise URLError("Remove the user name and password from the URL; the key has its own field.")
    if "?" in text or "#" in text:
        raise URLError("Remove everything after ? or # from the URL.")
    if port == 0:
        raise URLError("The port must be a number up to 65535.")
    host = _check_host(parts.hostname)
    return RestAddress(parts.scheme, host, port or _PORTS[parts.scheme], _check_path(parts.path))


def parse_saved_url(text: str) -> RestAddress:
    """Parses the text that `str` of an address returned."""
    parts = urlsplit(text)
    assert parts.hostname is not None
    return RestAddress(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], parts.path)


def _check_host(host: str | None) -> str:
    name = (host or "").rstrip(".")
    if not name:
        raise URLError("The URL has no host.")
    if name in _DASHBOARD:
        raise URLError("This is the dashboard's URL. The project's URL is https://<project>.supabase.co.")
    if name.startswith("db.") and name.endswith(".supabase.co"):
        raise URLError("This is the database's host. The project's URL does not begin with db.")
    if not all(character.isalnum() or character in ".-_:" for character in name):
        raise URLError("The host must be a host name or an IP address.")
    return name


def _check_path(path: str) -> str:
    """Rejects dots, which could lead out of the path, and percent signs, which could hide them."""
    path = path.rstrip("/")
    if not _PATH_CHARACTERS.issuperset(path) or "//" in path or any(part in (".", "..") for part in path.split("/")):
        raise URLError("The path of the URL may contain only letters, digits and - . _ ~.")
    return path.removesuffix(_SUFFIX).rstrip("/")
