"""What a page and its scripts load: other scripts, and source maps. Pure.

A site that is hostile writes whatever costs most time. So each pattern is linear, and a text is searched piece by
piece, so that other work comes in between.
"""

import re
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import islice
from typing import Final, NamedTuple

from basewarden.sentry.leaks.site_urls import SiteURL

MOST_REFERENCES: Final = 2_000
"""Of one file: to resolve each takes a tenth of a millisecond."""
_PIECE, _OVERLAP = 64 * 1024, 2 * 1024
"""No reference is longer than the overlap."""
_TAGS: Final = re.compile(r"(?i)<(?P<tag>script|link)\b(?P<attributes>[^<>]{0,1000})")
_SOURCE: Final = re.compile(
    r"(?i)\b(?:src|href)\s{0,5}=\s{0,5}"
    r"(?:\"(?P<double>[^\"]{1,1000})\"|'(?P<single>[^']{1,1000})'|(?P<bare>[^\s\"']{1,1000}))"
)
_SCRIPTS: Final = re.compile(r"[\"'`](?P<path>[^\"'`\s<>{}\\]{1,300}\.m?js)(?:\?[^\"'`\s]{0,100})?[\"'`]")
_MAP: Final = re.compile(r"[#@]\s{0,5}sourceMappingURL=(?P<path>[^\s'\"*\\]{1,1000})")
_IS_SCRIPT: Final = re.compile(r"\.m?js(?:\?|\Z)")
_NEXT: Final = "/_next/"


class References(NamedTuple):
    """`is_cut`: there are more than MOST_REFERENCES."""

    urls: list[SiteURL]
    is_cut: bool


def list_page_scripts(page: SiteURL, text: str) -> References:
    """Those of its tags; a `link` also loads other things."""
    return _resolve(page, _find_sources(text))


def _find_sources(text: str) -> Iterator[str]:
    for tag in _find_each(_TAGS, text):
        source = _SOURCE.search(tag["attributes"])
        if source is not None:
            reference = unescape(source["double"] or source["single"] or source["bare"])
            if tag["tag"].lower() == "script" or _IS_SCRIPT.search(reference):
                yield reference


def list_script_parts(script: SiteURL, text: str) -> References:
    """Scripts that a script names: by a path of its own, of the site, or of what bundlers write into their lists."""
    return _resolve(script, (_complete(script, match["path"]) for match in _find_each(_SCRIPTS, text)))


def _find_each(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    for start in range(0, len(text), _PIECE):
        for match in pattern.finditer(text, start, start + _PIECE + _OVERLAP):
            if match.start() < start + _PIECE:  # the next piece has the others
                yield match


def _resolve(base: SiteURL, references: Iterable[str]) -> References:
    """Each once."""
    found = dict.fromkeys(references)
    urls = [url for one in islice(found, MOST_REFERENCES) if (url := base.resolve(one)) is not None]
    return References(urls, len(found) > MOST_REFERENCES)


def _complete(script: SiteURL, path: str) -> str:
    if path.startswith(("/", "./", "../")) or "://" in path or "/" not in path:
        return path
    base, is_next, _ = script.path.partition(_NEXT)
    return f"{base}{_NEXT}{path}" if is_next else f"/{path}"


def find_map(script: SiteURL, text: str) -> SiteURL | None:
    """The source map that a script names at its end; else the one that would be beside it."""
    named = [match["path"] for match in _MAP.finditer(text, max(0, len(text) - 5_000))]
    if named and named[-1].startswith("data:"):
        return None  # it is in the script itself
    path = script.path.partition("?")[0]
    return script.resolve(named[-1]) if named else SiteURL(script.address, f"{path}.map")
