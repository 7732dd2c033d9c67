"""One cursor over one text, shared by every reader of the query string.

Readers only say that a text does not fit; `error_grammar` finds out why by parsing it again as PostgREST does.
"""

import re
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import TypeVar

from pgrest.query.grammar.combinators import Parser, complain

T = TypeVar("T")
_NAME = re.compile(r"(?:[^\W\d]|[0-9 $])+")
_JSON_KEY = re.compile(r"[^(\-:.,>)]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BLANKS = re.compile(r"[ \t]*")
DEEPEST = 100
_MOST_SHOWN = 200
_LONGEST_EXPLAINED = 4000
MOST_ITEMS = 2000
"""Of a list of columns, terms to order by, or conditions in a tree; PostgreSQL takes 1,664 columns."""
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 1024, 1000


class ParseError(Exception):
    """The text does not fit the grammar; `message` and `details` are worded as PostgREST words them.

    Finding the words takes much longer than reading the text, so they are looked for only when they are used.
    """

    def __init__(self, explain: Callable[[], tuple[str, str]]) -> None:
        super().__init__()
        self._explain = explain

    def __str__(self) -> str:
        return self.message

    @cached_property
    def _words(self) -> tuple[str, str]:
        return self._explain()

    @property
    def message(self) -> str:
        return self._words[0]

    @property
    def details(self) -> str:
        return self._words[1]


class SyntaxMismatch(Exception):
    """Raised by readers, and answered by `read_text`."""


class TooDeep(SyntaxMismatch):
    pass


class TooManyItems(SyntaxMismatch):
    pass


def remembered(read: Callable[[str], T]) -> Callable[[str], T]:
    """For texts that come again and again: each is read once. Refusals and long texts are not kept."""
    known = lru_cache(maxsize=_MOST_REMEMBERED)(read)

    def find(text: str) -> T:
        return known(text) if len(text) <= _LONGEST_REMEMBERED else read(text)

    return find


def read_text(text: str, source: str, read: Callable[["Scanner"], T], grammar: Parser) -> T:
    """`source` says what the text is, for the message of a ParseError; `grammar` finds the fault."""
    scanner = Scanner(text)
    try:
        return read(scanner)
    except TooDeep:
        where = f'"{source[:_MOST_SHOWN]}" (line 1, column {scanner.pos + 1})'
        raise ParseError(lambda: (where, f"nested deeper than {DEEPEST} levels")) from None
    except TooManyItems:
        raise ParseError(lambda: (f'"{source[:_MOST_SHOWN]}"', f"more than {MOST_ITEMS} items")) from None
    except SyntaxMismatch:
        raise ParseError(lambda: _explain(text, source, grammar)) from None


def _explain(text: str, source: str, grammar: Parser) -> tuple[str, str]:
    if len(text) > _LONGEST_EXPLAINED:
        return f'"{source[:_MOST_SHOWN]}"', "what is wrong is not looked for in a text of this length"
    line, column, words = complain(grammar, text)
    return f'"{source}" (line {line}, column {column})', words


class Scanner:
    __slots__ = ("_depth", "_items", "pos", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self._depth = 0
        self._items = 0

    def is_at_end(self) -> bool:
        return self.pos >= len(self.text)

    def is_next(self, word: str) -> bool:
        return self.text.startswith(word, self.pos)

    def match(self, word: str) -> bool:
        """Step over `word` if it comes next."""
        if not self.text.startswith(word, self.pos):
            return False
        self.pos += len(word)
        return True

    def expect(self, word: str) -> None:
        if not self.match(word):
            raise SyntaxMismatch

    def take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.pos)
        if found is None:
            return ""
        self.pos = found.end()
        return found[0]

    def skip_blanks(self) -> None:
        self.take(_BLANKS)

    def match_between_blanks(self, word: str) -> bool:
        self.skip_blanks()
        if not self.match(word):
            return False
        self.skip_blanks()
        return True

    def enter(self) -> None:
        """Count a level of nesting; the caller leaves it again. Bounds the parsers' recursion."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooDeep

    def leave(self) -> None:
        self._depth -= 1

    def count_item(self) -> None:
        """Bounds how long one text takes."""
        self._items += 1
        if self._items > MOST_ITEMS:
            raise TooManyItems

    # What several grammars share -------------------------------------------------------------------------

    def quoted(self) -> str | None:
        found = _QUOTED.match(self.text, self.pos)
        if found is None:
            return None
        self.pos = found.end()
        return _ESCAPED.sub(r"\1", found[1])

    def field_name(self) -> str | None:
        """A quoted name, or words joined by dashes."""
        return self._dashed_name(_NAME)

    def require_field_name(self) -> str:
        name = self.field_name()
        if name is None:
            raise SyntaxMismatch
        return name

    def identifier(self) -> str | None:
        return self.take(_NAME).strip() or None

    def json_key(self) -> str | None:
        return self._dashed_name(_JSON_KEY)

    def _dashed_name(self, word: re.Pattern[str]) -> str | None:
        quoted = self.quoted()
        if quoted is not None:
            return quoted
        parts = [self.take(word)]
        if not parts[0]:
            return None
        while self._match_dash():
            part = self.take(word)
            if not part:
                return None
            parts.append(part)
        return "-".join(part.strip() for part in parts)

    def _match_dash(self) -> bool:
        if self.text.startswith("-", self.pos) and not self.text.startswith("->", self.pos):
            self.pos += 1
            return True
        return False
