"""What a page and its scripts load: other scripts, and source maps. Pure."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

from basewarden.sentry.leaks.site_urls import SiteURL

_TAGS: Final = re.compile(
    r"(?i)<(?:script|link)\b[^>]{0,1000}?\b(?:src|href)\s{0,5}=\s{0,5}"
    r"(?:\"(?P<double>[^\"]{1,1000})\"|'(?P<single>[^']{1,1000})'|(?P<bare>[^\s>\"']{1,1000}))"
)
_SCRIPTS: Final = re.compile(r"[\"'`](?P<path>[^\"'`\s<>{}\\]{1,300}\.m?js)(?:\?[^\"'`\s]{0,100})?[\"'`]")
_MAP: Final = re.compile(r"[#@]\s{0,5}sourceMappingURL=(?P<path>[^\s'\"*\\]{1,1000})")
_IS_SCRIPT: Final = re.compile(r"\.m?js(?:\?|\Z)")
_NEXT: Final = "/_next/"


def list_page_scripts(page: SiteURL, text: str) -> Iterator[SiteURL]:
    """Those of its tags; a `link` also loads other things."""
    for match in _TAGS.finditer(text):
        reference = unescape(match["double"] or match["single"] or match["bare"])
        if match[0][:7].lower() == "<script" or _IS_SCRIPT.search(reference):
            found = page.resolve(reference)
            if found is not None:
                yield found


def list_script_parts(script: SiteURL, text: str) -> Iterator[SiteURL]:
    """Scripts that a script names: by a path of its own, of the site, or of what bundlers write into their lists."""
    for match in _SCRIPTS.finditer(text):
        found = script.resolve(_complete(script, match["path"]))
        if found is not None:
            yield found


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
