"""Words that the project's language has retired do not come back: in identifiers, docstrings, comments and docs."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache

from tests.rules.sources import SourceFile, read_page, read_sources

RETIRED_NAMES = {
    "anew": "again",
    "book": "log or ledger",
    "complaint": "error, or error message",
    "complaints": "errors, or error messages",
    "deed": "journaled request",
    "departure": "disconnect, or authorization request",
    "desk": "table client",
    "dial": "connect",
    "errand": "API write",
    "follower": "cascaded row",
    "foretell": "make intent changes",
    "garbled": "protocol error",
    "glance": "quick check",
    "greet": "check",
    "greeting": "TLS check, or version check",
    "hearsay": "statistics counters",
    "heir": "child table",
    "heirs": "child tables",
    "judge": "check, assess or classify",
    "leaving": "erasure",
    "letter": "email",
    "letters": "emails",
    "misfit": "rejected",
    "misfits": "rejected errors",
    "nobody": "no, or the thing that is absent",
    "patience": "timeouts",
    "presser": "actor",
    "road": "data API, or backend",
    "roads": "backends",
    "say": "print, or the log's event",
    "settler": "reconciler",
    "somebody": "the person, client or caller",
    "story": "script",
    "strays": "unmatched",
    "tell": "print, log or describe",
    "tells": "lists or reports",
    "told": "body, text or result",
    "travel": "handle, or request",
    "wake": "cascade, or notify",
    "whoever": "the person, client or caller",
    "witness": "returning spec",
}
"""A word of an identifier, with what to use instead."""

RETIRED_PROSE = {
    "anew": "again",
    "goes back": "is reverted, or returns",
    "heirs": "child tables",
    "is let through": "is allowed",
    "letter": "email",
    "letters": "emails",
    "nobody": "a sentence about what is absent",
    "settler": "reconciler",
    "somebody": "the person, client or caller",
    "told": "a sentence with the actor as its subject",
    "whoever": "the person, client or caller",
}
"""A word of a docstring or comment, with what to use instead."""

ALLOWED = {
    ("src/basewarden/db/migrations/", "*"): "migrations that have run are never edited",
    ("src/basewarden/connections/", "tells"): "tellsSchema is a field of the API",
    ("benchmarks/road.py", "road"): "measurements in the documentation name this benchmark",
}
"""A word in one place, with the reason."""

PROSE = re.compile(rf"\b({'|'.join(map(re.escape, RETIRED_PROSE))})\b", re.IGNORECASE)
PAGE_PROSE = re.compile(PROSE.pattern.replace("\\ ", r"\s+"), re.IGNORECASE)
ANY_NAME = re.compile("|".join(RETIRED_NAMES), re.IGNORECASE)
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def find_retired_names(sources: Iterable[SourceFile]) -> list[str]:
    return [
        source.at(line, f"{name}: {word} -> {RETIRED_NAMES[word]}")
        for source in sources
        if ANY_NAME.search(source.path + source.text)  # parsing all files takes seconds
        for line, name in _list_names(source)
        for word in dict.fromkeys(_split(name))
        if word in RETIRED_NAMES and not _is_allowed(source, word)
    ]


PAGE_PROSE = re.compile(PROSE.pattern.replace("\\ ", r"\s+"), re.IGNORECASE)


def find_retired_prose(sources: Iterable[SourceFile]) -> list[str]:
    return [
        source.at(line, f"{word.lower()} -> {RETIRED_PROSE[word.lower()]}")
        for source in sources
        if PAGE_PROSE.search(source.text)
        for line, text in [*source.comments, *_list_docstrings(source)]
        for word in PROSE.findall(re.sub(r"\s+", " ", text))
        if not _is_allowed(source, word.lower())
    ]


def find_retired_words(pages: Iterable[SourceFile]) -> list[str]:
    """Of pages in Markdown, in which lines break anywhere."""
    return [
        page.at(line, f"{word} -> {RETIRED_PROSE[word]}")
        for page in pages
        for line, found in page.lines_with(PAGE_PROSE)
        for word in [" ".join(found.lower().split())]
    ]


def _list_names(source: SourceFile) -> Iterator[tuple[int, str]]:
    """Yields the names that a module defines: its own, and those of classes, functions, arguments and variables."""
    yield 1, source.path.rpartition("/")[2].removesuffix(".py")
    for node in source.nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def _list_docstrings(source: SourceFile) -> Iterator[tuple[int, str]]:
    """Yields docstrings, and the strings below constants and fields."""
    for node in source.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def _split(name: str) -> list[str]:
    return [word.lower() for word in WORD.findall(name)]


def _is_allowed(source: SourceFile, word: str) -> bool:
    return any(source.path.startswith(place) and allowed in ("*", word) for place, allowed in ALLOWED)


@cache
def _read_all() -> list[SourceFile]:
    return read_sources("src", "scripts", "benchmarks", "tests")


def test_retired_words_are_in_no_identifier() -> None:
    assert find_retired_names(_read_all()) == []


def test_retired_words_are_in_no_docstring_or_comment() -> None:
    assert find_retired_prose(_read_all()) == []


def test_retired_words_are_in_no_page() -> None:
    pages = [*read_sources("docs", suffix=".md"), *(read_page(name) for name in ("README.md", "CONTRIBUTING.md"))]
    assert len(pages) > 40
    assert find_retired_words(pages) == []


def test_a_retired_word_of_a_page_is_found() -> None:
    page = SourceFile("a.md", "A row goes\nback.\nTold or untold, nobody's newsletter.\n")
    assert find_retired_words([page]) == [
        "a.md:1 goes back -> is reverted, or returns",
        "a.md:3 told -> a sentence with the actor as its subject",
        "a.md:3 nobody -> a sentence about what is absent",
    ]


def test_a_retired_name_is_found() -> None:
    text = "class DataRoad:\n    def tell_person(self, old_letter: str) -> None:\n        self.wake = old_letter\n"
    assert find_retired_names([SourceFile("a/settler.py", text)]) == [
        "a/settler.py:1 settler: settler -> reconciler",
        "a/settler.py:1 DataRoad: road -> data API, or backend",
        "a/settler.py:2 tell_person: tell -> print, log or describe",
        "a/settler.py:2 old_letter: letter -> email",
        "a/settler.py:3 wake: wake -> cascade, or notify",
    ]


def test_words_that_only_contain_a_retired_one_are_no_finding() -> None:
    text = "class Broadcast:\n    def essay(self, awake: str) -> None:\n        self.letterbox = awake\n"
    assert find_retired_names([SourceFile("a/storage.py", text)]) == []


def test_retired_prose_is_found() -> None:
    text = '"""It goes\n    back."""\nA = 1  # nobody knows\n"""Sent as a letter."""\nB = "nobody"\n'
    assert find_retired_prose([SourceFile("a.py", text)]) == [
        "a.py:3 nobody -> a sentence about what is absent",
        "a.py:1 goes back -> is reverted, or returns",
        "a.py:4 letter -> email",
    ]
    assert find_retired_prose([SourceFile("a.py", '"""A newsletter, untold."""\n')]) == []


def test_every_exception_names_a_place_that_exists() -> None:
    paths = [source.path for source in _read_all()]
    assert [place for place, _ in ALLOWED if not any(path.startswith(place) for path in paths)] == []
