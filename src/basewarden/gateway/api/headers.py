"""The headers that pass, by a list for each direction. No other header reaches the other side."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from basewarden.connections.rest import RawHeader, RestAddress
from basewarden.gateway.api.upstream import Header
from basewarden.gateway.response_headers import ALLOWED
from pgrest import Preferences, Request

RawHeaders = Sequence[tuple[bytes, bytes]]

_ASKED: Final = frozenset({b"accept", b"range", b"range-unit"})
PASSED_OUT: Final = frozenset(
    {"accept", "accept-profile", "content-profile", "content-type", "prefer", "range", "range-unit"}
)
_DECIDING: Final = _ASKED | {b"accept-encoding", b"accept-profile", b"content-profile", b"prefer"}
_RETURNED: Final = {name.encode(): shown for name, shown in ALLOWED.items() if name != "proxy-status"}
_PLACES: Final = frozenset({"Content-Location", "Location"})


def list_deciding_headers(headers: RawHeaders) -> tuple[tuple[bytes, bytes], ...]:
    """Those that what goes out depends on; two requests that agree in them are one."""
    return tuple([pair for pair in headers if pair[0] in _DECIDING])


def make_read_headers(request: Request, headers: RawHeaders, preferences: str) -> tuple[Header, ...]:
    """The schema is always named, so that what was checked is what is meant there."""
    first = dict(reversed(headers))
    passed = [(name.decode(), _printable(value)) for name, value in first.items() if name in _ASKED]
    passed.append(("accept-profile", _printable(request.schema.encode())))
    if preferences:
        passed.append(("prefer", preferences))
    return (*passed, ("accept-encoding", "gzip" if takes_gzip(headers) else "identity"))


def format_preferences(preferences: Preferences, *, names: frozenset[str] | None = None) -> str:
    """The Prefer header, of what was understood and nothing else; `names` narrows it further."""
    given = (
        ("handling", preferences.handling),
        ("resolution", preferences.resolution),
        ("missing", preferences.missing),
        ("return", preferences.returning),
        ("count", preferences.count),
        ("timezone", preferences.timezone),
        ("max-affected", preferences.max_affected),
    )
    chosen = ((name, value) for name, value in given if value is not None and (names is None or name in names))
    return ", ".join(f"{name}={value}" for name, value in chosen)


def pass_headers(found: Iterable[RawHeader], address: RestAddress, *, shows_profile: bool) -> list[Header]:
    """The project's headers that may be passed on; those that concern its connection to us are not among them."""
    passed: list[Header] = []
    for raw_name, value in found:
        name = _RETURNED.get(raw_name)
        if name is None or (name == "Content-Profile" and not shows_profile):
            continue
        text = value.decode("latin-1")
        if name in _PLACES:
            place = _find_place(text, address)
            if place is not None:
                passed.append((name, place))
        else:
            passed.append((name, text))
    return passed


def find_header(headers: Iterable[RawHeader], name: bytes) -> bytes:
    return next((value for found, value in headers if found == name), b"")


def _find_place(text: str, address: RestAddress) -> str | None:
    """A place within the API, as PostgREST itself names it; any other is the project's own affair."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if parts.netloc and parts.netloc.lower() != address.authority.lower():
        return None
    if not parts.path.startswith("/") or text.startswith("//"):
        return None
    path = parts.path
    if address.base and (path == address.base or path.startswith(f"{address.base}/")):
        path = path.removeprefix(address.base) or "/"
    return f"{path}?{parts.query}" if parts.query else path


def takes_gzip(headers: RawHeaders) -> bool:
    for name, value in headers:
        if name == b"accept-encoding":
            for part in value.lower().split(b","):
                coding, _, quality = part.strip().partition(b";")
                if coding.strip() == b"gzip":
                    return quality.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False


def _printable(value: bytes) -> str:
    """Without characters that a parser could take for the start of another header."""
    return value.decode("latin-1").translate(_NO_CONTROLS)


_NO_CONTROLS: Final[Mapping[int, None]] = dict.fromkeys([*range(32), 127])
