"""Parses `postgres://` URLs; only listed options are accepted.

URLs are untrusted, and libpq has options that read files or connect to sockets and other hosts.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from basewarden.core.secret import Secret

DEFAULT_PORT = 5432
_SCHEMES: Final = ("postgres", "postgresql")
_CHOICES: Final = {
    "sslmode": ("disable", "prefer", "require", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
}
_IGNORED: Final = frozenset({"application_name", "connect_timeout"})  # ours are used


class URLError(ValueError):
    """Its text is a sentence for the person who typed the URL, and never contains the URL."""


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    host: str
    port: int
    user: str
    password: Secret
    database: str
    sslmode: str = "prefer"
    channel_binding: str = "prefer"
    is_pooled: bool = False
    """Declared to be a transaction pooler with `pgbouncer=true`, as other clients accept it."""


def parse_postgres_url(url: Secret) -> PostgresAddress:
    text = url.reveal().strip()
    if not text.isprintable():
        raise URLError("The URL contains a line break or another invisible character.")
    scheme, separator, _ = text.partition("://")
    if not separator or scheme.lower() not in _SCHEMES:
        raise URLError("Use the form postgresql://user:password@host:5432/database.")
    try:
        parts = urlsplit(text)
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise URLError(_explain_broken(text)) from None
    return PostgresAddress(
        host=_check_host(parts.hostname),
        port=port,
        user=_check_part("user name", parts.username),
        password=Secret(_check_part("password", parts.password)),
        database=_check_part("database name", parts.path.removeprefix("/")),
        **_read_options(parts.query, parts.fragment),
    )


def _explain_broken(text: str) -> str:
    if "[YOUR-PASSWORD]" in text:
        return "Replace [YOUR-PASSWORD] with your database password."
    if "," in text.rpartition("@")[2]:
        return "The URL names several hosts. Use one."
    return "The port must be a number up to 65535; / # ? @ in a password need percent-encoding."


def _check_host(host: str | None) -> str:
    name = unquote(host or "")
    if not name:
        raise URLError("The URL has no host.")
    if "," in name:
        raise URLError("The URL names several hosts. Use one.")
    if name.startswith(("/", "@")) or not all(character.isalnum() or character in ".-_:%" for character in name):
        raise URLError("The host must be a host name or an IP address, not a socket or a path.")
    return name


def _check_part(what: str, value: str | None) -> str:
    decoded = unquote(value or "")
    if not decoded:
        raise URLError(f"The URL has no {what}.")
    if "\x00" in decoded:
        raise URLError(f"The {what} contains a character that PostgreSQL does not accept.")
    return decoded


def _read_options(query: str, fragment: str) -> dict[str, Any]:
    if fragment:
        raise URLError("Write # in a password as %23.")
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _CHOICES:
            if value not in _CHOICES[name]:
                raise URLError(f"{name} can be {', '.join(_CHOICES[name])}.")
            options[name] = value
        elif name == "pgbouncer":
            options["is_pooled"] = value == "true"
        elif name not in _IGNORED:
            raise URLError(f"The URL may not set {name[:40]!r}; it may set sslmode and channel_binding.")
    return options
