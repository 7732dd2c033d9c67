"""Which response headers a project may set, and how its content types are made safe. One list for both backends.

A project's database or API is hostile input: it must not run script at our origin, set cookies, redirect, or touch the
framing of a message. See docs/decisions/0024-a-projects-answers-are-data.md.
"""

import re
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Final

Header = tuple[str, str]
RawHeader = tuple[bytes, bytes]

MAX_VALUE_CHARS = 2048
"""A longer value is left out: proxies refuse an answer with a large head."""

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
_ATTACHMENT: Final = b"attachment"
_TEXT: Final = b"text/plain; charset=utf-8"
_BYTES: Final = b"application/octet-stream"
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


def find_audience(headers: Iterable[RawHeader], *, has_token: bool) -> Audience:
    """`headers` are the request's. No page can change what its browser sends as Sec-Fetch-*."""
    is_browser = accepts_page = False
    for name, value in headers:
        if name == b"sec-fetch-dest":
            if value.lower() != b"empty":
                return Audience.DOCUMENT
            is_browser = True
        elif name == b"sec-fetch-mode":
            if value.lower() == b"navigate":
                return Audience.DOCUMENT
            is_browser = True
        elif name == b"accept" and b"text/html" in value.lower():
            accepts_page = True  # what browsers send along with a navigation, also where Sec-Fetch-* is missing
    if has_token:
        return Audience.CLIENT
    return Audience.DOCUMENT if accepts_page and not is_browser else Audience.SCRIPT


def list_response_headers(
    status: int, headers: Sequence[Header], audience: Audience, *, has_body: bool
) -> list[RawHeader]:
    """What of a project's headers goes out, without those of framing; of each name the first."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        pair = _read_header(name, value) if len(value) <= MAX_VALUE_CHARS else None
        if pair is not None:
            found.setdefault(*pair)
    if status >= _FIRST_REDIRECT:
        found.pop(b"location", None)
    content_type = found.pop(b"content-type", None)
    if content_type is not None or has_body:
        content_type, is_attachment = _choose_type(content_type, audience)
        found[b"content-type"] = content_type
        if is_attachment:
            found.setdefault(b"content-disposition", _ATTACHMENT)
    return [*found.items(), _POLICY]


def make_status(status: int) -> int:
    """A status that is a final one of HTTP's; anything else is an error of the project's."""
    return status if _FIRST_STATUS <= status <= _LAST_STATUS else _INTERNAL_ERROR


@lru_cache(maxsize=4096)
def _read_header(name: str, value: str) -> RawHeader | None:
    lower = name.lower()
    if lower not in ALLOWED or not _PRINTABLE.match(value):
        return None
    pattern = _VALUES.get(lower)
    if pattern is not None and not pattern.match(value):
        return None
    return lower.encode(), value.encode("latin-1", "replace")


@lru_cache(maxsize=1024)
def _choose_type(content_type: bytes | None, audience: Audience) -> tuple[bytes, bool]:
    """The type that is sent, and whether as an attachment."""
    if audience is Audience.DOCUMENT:
        return _TEXT, False
    found = _MEDIA_TYPE.match((content_type or b"").decode("latin-1"))
    if found is None:
        return _BYTES, True
    essence = found["essence"].lower()
    if essence in _INERT or essence.startswith(_INERT_FAMILY):
        return found[0].encode("latin-1"), False
    return (found[0].encode("latin-1") if audience is Audience.CLIENT else _BYTES), True
