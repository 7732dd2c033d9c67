"""Where clients find the API: what a description of it says as scheme, host and base path."""

import re
from dataclasses import dataclass
from typing import Literal

_URI = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^\s?#]*)?",
    re.IGNORECASE,
)
_MOST = 65535


@dataclass(frozen=True, slots=True)
class ApiAddress:
    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str = "/"


LOCAL = ApiAddress("http", "127.0.0.1", 3000)


def parse_address(uri: str) -> ApiAddress:
    """An http or https URI without user, query and fragment; ValueError for anything else."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise ValueError("not an http or https address without user, query and fragment")
    is_tls = found["scheme"].lower() == "https"
    port = int(found["port"] or (443 if is_tls else 80))
    if not 0 < port <= _MOST:
        raise ValueError("no port has that number")
    return ApiAddress("https" if is_tls else "http", found["host"], port, found["path"] or "/")
