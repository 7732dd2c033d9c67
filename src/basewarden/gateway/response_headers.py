"""Which response headers a project may set, and how its content types are made safe. One list for both backends.

A project's database or API is hostile input: it must not run script at our origin, set cookies, redirect, or touch the
framing of a message. See docs/decisions/0024-treat-project-responses-as-data.md.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache
from operator import itemgetter
from typing import Final

from basewarden.web import CheckedHeaders, RawHeader, join_checked

Header = tuple[str, str]

MAX_VALUE_CHARS = 2048
"""A longer value is left out: proxies refuse an answer with a large head."""
_REMEMBERED_CHARS = 1024
_take_value = itemgetter(1)

WITHOUT_BODY: Final = frozenset({204, 304})
_FIRST_STATUS, _LAST_STATUS, _FIRST_REDIRECT = 200, 599, 300
_INTERNAL_ERROR = 500
ALLOWED: Final = {
    name.lower(): name
    for name in (
        "Allow",
        "Content-Disposition",
        "Content-Location",
        "Content-Profile",
        "Content-Range",
        "Content-Type",
        "Location",
        "Preference-Applied",
        "Proxy-Status",
        "Range-Unit",
        "Retry-After",
    )
}
_POLICY: Final = (b"content-security-policy", b"sandbox; default-src 'none'; frame-ancestors 'none'")
_ATTACHMENT: Final = (b"content-disposition", b"attachment")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_BYTES: Final = (b"content-type", b"application/octet-stream")
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
# No comma: browsers take the last of several types in one header.
_MEDIA_TYPE = re.compile(rf'(?P<essence>{_WORD}/{_WORD})(?: ?; ?{_WORD}=(?:{_WORD}|"[^",\\]*"))*\Z')
# Types that no browser renders as a page or runs, whatever the element that loads them.
_INERT: Final = frozenset(
    {
        "application/geo+json",
        "application/json",
        "application/octet-stream",
        "application/openapi+json",
        "text/csv",
        "text/plain",
    }
)
_INERT_FAMILY: Final = "application/vnd.pgrst."
_PRINTABLE = re.compile(r"[\x20-\x7e\xa0-\U0010ffff]*\Z")
_PLACE = re.compile(r"/(?![/\\])")
_VALUES: Final = {
    "content-disposition": re.compile(r"attachment(?: ?;|\Z)", re.IGNORECASE),
    "content-location": _PLACE,
    "location": _PLACE,
    "retry-after": re.compile(r"[0-9]{1,6}\Z"),
}


class Audience(Enum):
    """How the caller will use an answer, which decides the content type it gets."""

    CLIENT = auto()
    """a program that sends a token in a header: the project's own type"""
    SCRIPT = auto()
    """a program, or a page's fetch(), that sends a person's cookie: a type that runs or renders becomes plain bytes"""
    DOCUMENT = auto()
    """a browser that loads a page, a frame, a script, an image: everything is shown as text"""


def find_audience(asked: Mapping[bytes, bytes], *, has_token: bool) -> Audience:
    """`asked` are the request's headers. No page can change what its browser sends as Sec-Fetch-*."""
    mode, destination = asked.get(b"sec-fetch-mode"), asked.get(b"sec-fetch-dest")
    if mode is None and destination is None:
        # Old browsers, and any towards plain http: what they send along with a navigation is this.
        is_document = not has_token and b"text/html" in asked.get(b"accept", b"").lower()
    else:
        is_document = mode == b"navigate" or destination not in (None, b"empty")
    if is_document:
        return Audience.DOCUMENT
    return Audience.CLIENT if has_token else Audience.SCRIPT


def choose_headers(status: int, headers: Sequence[Header], audience: Audience, *, has_body: bool) -> CheckedHeaders:
    """What of a project's headers goes out, without those of framing; of each name the first. On the hot path."""
    size = sum(map(len, map(_take_value, headers)))
    choose = _choose_headers if size <= _REMEMBERED_CHARS else _choose_headers.__wrapped__
    return choose(status, tuple(headers), audience, has_body=has_body)


@lru_cache(maxsize=1024)
def _choose_headers(status: int, headers: tuple[Header, ...], audience: Audience, *, has_body: bool) -> CheckedHeaders:
    found: dict[bytes, RawHeader] = {}
    for header in headers:
        if len(header[1]) <= MAX_VALUE_CHARS:
            pair = _read_header(header)
            if pair is not None:
                found.setdefault(pair[0], pair)
    if status >= _FIRST_REDIRECT:
        found.pop(b"location", None)
    given = found.get(b"content-type")
    if given is not None or has_body:
        found[b"content-type"], disposition = _choose_type(given, audience)
        if disposition is not None:
            found.setdefault(b"content-disposition", disposition)
    return join_checked((*found.values(), _POLICY))


def make_status(status: int) -> int:
    """A status that is a final one of HTTP's; anything else is an error of the project's."""
    return status if _FIRST_STATUS <= status <= _LAST_STATUS else _INTERNAL_ERROR


@lru_cache(maxsize=4096)
def _read_header(header: Header) -> RawHeader | None:
    lower, value = header[0].lower(), header[1]
    if lower not in ALLOWED or not _PRINTABLE.match(value):
        return None
    pattern = _VALUES.get(lower)
    if pattern is not None and not pattern.match(value):
        return None
    return lower.encode(), value.encode("latin-1", "replace")


@lru_cache(maxsize=1024)
def _choose_type(given: RawHeader | None, audience: Audience) -> tuple[RawHeader, RawHeader | None]:
    """The type that is sent, and the disposition of what a browser may run or render."""
    if audience is Audience.DOCUMENT:
        return _TEXT, None
    found = _MEDIA_TYPE.match(given[1].decode("latin-1")) if given is not None else None
    if given is None or found is None:
        return _BYTES, _ATTACHMENT
    essence = found["essence"].lower()
    if essence in _INERT or essence.startswith(_INERT_FAMILY):
        return given, None
    return (given if audience is Audience.CLIENT else _BYTES), _ATTACHMENT
