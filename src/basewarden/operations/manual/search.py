"""The search over all pages of `/docs`: an index of headings and text, built once in a process."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

MAX_LENGTH: Final = 100
_MAX_WORDS: Final = 8
_BEFORE: Final = 60
_EXCERPT: Final = 200
_INTERNAL: Final = 4
"""What is internal counts this much less."""
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“`])")
_WORD: Final = re.compile(r"[^\s,;:()\"'`]+")


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """A place that a result can link to.

    Each line of `text` is a paragraph, a row of a table or a block of code. `within` is the heading around the place;
    the title of a `name` is one of the code's, such as a setting, and an endpoint has its `method`. What is internal is
    about how the product is built, and comes after what is about its use.
    """

    href: str
    page: str
    title: str
    text: str
    within: str = ""
    method: str = ""
    is_name: bool = False
    is_internal: bool = False

    @property
    def name(self) -> str:
        """With its method, as people type it."""
        return f"{self.method} {self.title}".strip()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The words are marked in `title` and `excerpt`; `place` is the page, and the heading that it is below."""

    href: str
    place: tuple[str, ...]
    title: Markup
    excerpt: Markup
    method: str
    is_name: bool


class SearchIndex:
    def __init__(self, entries: Iterable[SearchEntry]) -> None:
        self._entries = [
            (entry, entry.page.lower(), entry.name.lower(), f"{entry.within} {entry.text}".lower()) for entry in entries
        ]

    def find(self, text: str, limit: int) -> list[SearchResult]:
        """Lists the places that have every word; those with the words in their titles come first."""
        words = read_words(text)
        if not words:
            return []
        scored = [
            (_score(words, page, title, body, entry.method.lower()), not entry.is_internal, -at, entry)
            for at, (entry, page, title, body) in enumerate(self._entries)
        ]
        found = [one for one in scored if one[0] > 0]
        best = sorted(found, key=lambda one: (one[0] if one[1] else one[0] // _INTERNAL, one[2]), reverse=True)
        return [_make_result(entry, words) for _, _, _, entry in best[:limit]]


def read_words(text: str) -> list[str]:
    return list(dict.fromkeys(_WORD.findall(text[:MAX_LENGTH].lower())))[:_MAX_WORDS]


def _score(words: Sequence[str], page: str, title: str, body: str, method: str) -> int:
    """0 if a word is missing.

    A match in a title counts more than one in the page's name, and that more than one in the text. The title of an
    endpoint counts as one only where its method or a path is typed: a word finds what is written about it first.
    """
    is_title = not method or method in words or any("/" in word for word in words)
    total = 0
    for word in words:
        in_title = word in title
        points = 12 * (title == word) + 8 * (in_title and is_title) + 3 * (word in page) + (in_title or word in body)
        if not points:
            return 0
        total += points
    return total


def _make_result(entry: SearchEntry, words: Sequence[str]) -> SearchResult:
    place = tuple(dict.fromkeys(part for part in (entry.page, entry.within) if part and part != entry.title))
    return SearchResult(
        entry.href,
        place,
        _break_path(mark_words(entry.title, words)),
        mark_words(_cut(entry.text, words), words),
        entry.method,
        entry.is_name,
    )


def _break_path(title: Markup) -> Markup:
    """Lets a long path go on in the next line between its parts, and not within a word."""
    return Markup(title.replace(Markup("}/"), Markup("}/<wbr>")))  # noqa: S704 - both are markup


def _cut(text: str, words: Sequence[str]) -> str:
    """Returns the sentence or row with the most of the words, and those after it as far as they are short."""
    sentences = [(at, one) for at, line in enumerate(text.split("\n")) for one in _SENTENCE_END.split(line)]
    best = max(range(len(sentences)), key=lambda at: _count_words(sentences[at][1], words))
    paragraph, excerpt = sentences[best]
    for following, sentence in sentences[best + 1 :]:
        if following != paragraph or len(excerpt) + len(sentence) >= _EXCERPT:
            break
        excerpt = f"{excerpt} {sentence}"
    return excerpt if len(excerpt) <= _EXCERPT else _shorten(excerpt, words)


def _count_words(text: str, words: Sequence[str]) -> int:
    lower = text.lower()
    return sum(word in lower for word in words)


def _shorten(sentence: str, words: Sequence[str]) -> str:
    """Cuts a long sentence between two words, around the first one that is searched for."""
    lower = sentence.lower()
    first = min((at for word in words if (at := lower.find(word)) >= 0), default=0)
    start = sentence.rfind(" ", 0, first - _BEFORE) + 1 if first > _EXCERPT - _BEFORE else 0
    piece = sentence[start : start + _EXCERPT]
    if start + _EXCERPT < len(sentence):
        piece = f"{piece.rpartition(' ')[0].rstrip(',;:·') or piece} …"
    return f"{'… ' if start else ''}{piece}"


def mark_words(text: str, words: Sequence[str]) -> Markup:
    """Marks the words where they begin a word, but not within a name of the code such as `UndoTarget`."""
    choices = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    pattern = re.compile(rf"(?<![^\W_])(?:{choices})(?-i:(?![A-Z][a-z]))", re.IGNORECASE)
    found = [(match.start(), match.end()) for match in pattern.finditer(text)]
    starts = [0, *(end for _, end in found)]
    ends = [*(start for start, _ in found), len(text)]
    parts = [Markup("{}").format(text[start:end]) for start, end in zip(starts, ends, strict=True)]
    marked = [Markup("<mark>{}</mark>").format(text[start:end]) for start, end in found]
    return Markup("").join(part for pair in zip(parts, [*marked, Markup()], strict=True) for part in pair)
