"""The search over all pages of `/docs`: an index of headings and text, built once in a process."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

MAX_LENGTH: Final = 100
_MAX_WORDS: Final = 8
_BEFORE: Final = 60
_EXCERPT: Final = 180
_WORD: Final = re.compile(r"[^\s,;:()\"'`]+")


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """A place that a result can link to."""

    href: str
    page: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The words are marked in `title` and `excerpt`."""

    href: str
    page: str
    title: Markup
    excerpt: Markup


class SearchIndex:
    def __init__(self, entries: Iterable[SearchEntry]) -> None:
        self._entries = [(entry, entry.page.lower(), entry.title.lower(), entry.text.lower()) for entry in entries]

    def find(self, text: str, limit: int) -> list[SearchResult]:
        """Lists the places that have every word; those with the words in their titles come first."""
        words = read_words(text)
        if not words:
            return []
        scored = [
            (_score(words, page, title, body), -at, entry)
            for at, (entry, page, title, body) in enumerate(self._entries)
        ]
        best = sorted((one for one in scored if one[0] > 0), key=lambda one: one[:2], reverse=True)
        return [_make_result(entry, words) for _, _, entry in best[:limit]]


def read_words(text: str) -> list[str]:
    return list(dict.fromkeys(_WORD.findall(text[:MAX_LENGTH].lower())))[:_MAX_WORDS]


def _score(words: Sequence[str], page: str, title: str, body: str) -> int:
    """0 if a word is missing.

    A match in a title counts more than one in the page's name, and that more than one in the text.
    """
    total = 0
    for word in words:
        points = 12 * (title == word) + 8 * (word in title) + 3 * (word in page) + (word in body)
        if not points:
            return 0
        total += points
    return total


def _make_result(entry: SearchEntry, words: Sequence[str]) -> SearchResult:
    return SearchResult(
        entry.href, entry.page, mark_words(entry.title, words), mark_words(_cut(entry.text, words), words)
    )


def _cut(text: str, words: Sequence[str]) -> str:
    """Returns an excerpt of the text around the first matching word."""
    lower = text.lower()
    first = min((at for word in words if (at := lower.find(word)) >= 0), default=0)
    start = text.rfind(" ", 0, first - _BEFORE) + 1 if first > _BEFORE else 0
    piece = text[start : start + _EXCERPT]
    return f"{'… ' if start else ''}{piece}{' …' if start + _EXCERPT < len(text) else ''}"


def mark_words(text: str, words: Sequence[str]) -> Markup:
    pattern = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)), re.IGNORECASE)
    found = [(match.start(), match.end()) for match in pattern.finditer(text)]
    starts = [0, *(end for _, end in found)]
    ends = [*(start for start, _ in found), len(text)]
    parts = [Markup("{}").format(text[start:end]) for start, end in zip(starts, ends, strict=True)]
    marked = [Markup("<mark>{}</mark>").format(text[start:end]) for start, end in found]
    return Markup("").join(part for pair in zip(parts, [*marked, Markup()], strict=True) for part in pair)
