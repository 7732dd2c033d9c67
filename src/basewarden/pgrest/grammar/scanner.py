"""One cursor over one text, shared by every parser of the query string.

A refusal tells the furthest place where anything failed and what was wanted there, which is what a person
needs to see and what PostgREST (a Parsec program) shows. Most texts are right, so this is noted only on a
second reading of those that are not.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")
_NAME = re.compile(r"[\w $]+")
_JSON_KEY = re.compile(r"[^(\-:.,>)]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BLANKS = re.compile(r"[ \t]*")
_DEEPEST = 100
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 1024, 1000


class ParseError(Exception):
    """The text does not fit the grammar; `message` and `details` are worded as PostgREST words them."""

    def __init__(self, message: str, details: str) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


def remembered(read: Callable[[str], T]) -> Callable[[str], T]:
    """For texts that come again and again: each is read once. Refusals and long texts are not kept."""
    known = lru_cache(maxsize=_MOST_REMEMBERED)(read)

    def find(text: str) -> T:
        return known(text) if len(text) <= _LONGEST_REMEMBERED else read(text)

    return find


def read_text(text: str, source: str, read: Callable[["Scanner"], T]) -> T:
    """`source` says what the text is, for the message of a ParseError."""
    try:
        return read(Scanner(text, source, takes_notes=False))
    except ParseError:
        return read(Scanner(text, source, takes_notes=True))


class Scanner:
    __slots__ = ("_depth", "_expected", "_found", "_furthest", "_takes_notes", "label", "pos", "source", "text")

    def __init__(self, text: str, source: str, *, takes_notes: bool) -> None:
        self.text = text
        self.source = source
        self.pos = 0
        self.label: str | None = None  # stands in for everything that is wanted while it is set
        self._furthest = 0
        self._found: str | None = None
        self._expected: list[str] = []
        self._depth = 0
        self._takes_notes = takes_notes

    def is_at_end(self) -> bool:
        return self.pos >= len(self.text)

    def is_next(self, word: str) -> bool:
        if self.text.startswith(word, self.pos):
            return True
        if self._takes_notes:
            self._miss_word(word)
        return False

    def match(self, word: str) -> bool:
        """Step over `word` if it comes next."""
        if not self.is_next(word):
            return False
        self.pos += len(word)
        return True

    def expect(self, word: str) -> None:
        if not self.match(word):
            raise self.error()

    def match_delimiter(self) -> bool:
        if self.text.startswith(".", self.pos):
            self.pos += 1
            return True
        self.miss("delimiter (.)")
        return False

    def expect_delimiter(self) -> None:
        if not self.match_delimiter():
            raise self.error()

    def take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.pos)
        if found is None:
            return ""
        self.pos = found.end()
        return found[0]

    def skip_blanks(self) -> None:
        self.take(_BLANKS)

    def miss(self, expected: str, found: str | None = None, *, at: int | None = None) -> None:
        """Note that `expected` was wanted here and did not come."""
        if not self._takes_notes:
            return
        position = self.pos if at is None else at
        if position < self._furthest:
            return
        if position > self._furthest:
            self._furthest, self._found, self._expected = position, None, []
        if self._found is None or (found is not None and found.startswith("'")):
            self._found = found if found is not None else _shown(self.text[position : position + 1])
        wanted = self.label or expected
        if wanted not in self._expected:
            self._expected.append(wanted)

    def miss_end(self) -> None:
        character = self.text[self.pos : self.pos + 1]
        self.miss("end of input", f"'{character}'" if character else None)

    def _miss_word(self, word: str) -> None:
        rest = self.text[self.pos : self.pos + len(word)]
        differing = next((b for a, b in zip(word, rest, strict=False) if a != b), "")
        self.miss(f'"{word}"', _shown(differing))

    def error(self) -> ParseError:
        where = f'"{self.source}" (line 1, column {self._furthest + 1})'
        details = f"unexpected {self._found or 'end of input'}"
        if self._expected:
            details += f" expecting {_either(self._expected)}"
        return ParseError(where, details)

    def enter(self) -> None:
        """Count a level of nesting; the caller leaves it again. Bounds the parsers' recursion."""
        self._depth += 1
        if self._depth > _DEEPEST:
            where = f'"{self.source[:200]}" (line 1, column {self.pos + 1})'
            raise ParseError(where, f"nested deeper than {_DEEPEST} levels")

    def leave(self) -> None:
        self._depth -= 1

    # What several grammars share -------------------------------------------------------------------------

    def quoted(self) -> str | None:
        found = _QUOTED.match(self.text, self.pos)
        if found is None:
            return None
        self.pos = found.end()
        return _ESCAPED.sub(r"\1", found[1])

    def field_name(self) -> str | None:
        """A quoted name, or words joined by dashes; None, with a note, when there is none."""
        return self._dashed_name(_NAME, "field name (* or [a..z0..9_$])", ("letter", "digit"))

    def require_field_name(self) -> str:
        name = self.field_name()
        if name is None:
            raise self.error()
        return name

    def identifier(self) -> str | None:
        word = self.take(_NAME)
        for kind in ("letter", "digit"):
            self.miss(kind)
        return word.strip() or None

    def json_key(self) -> str | None:
        return self._dashed_name(_JSON_KEY, "any non reserved character different from: .,>()", ())

    def _dashed_name(self, word: re.Pattern[str], label: str, endings: tuple[str, ...]) -> str | None:
        quoted = self.quoted()
        if quoted is not None:
            return quoted
        parts = [self.take(word)]
        if not parts[0]:
            self.miss(label)
            return None
        while self._match_dash():
            part = self.take(word)
            if not part:
                self.miss(label)
                return None
            parts.append(part)
        for ending in endings:
            self.miss(ending)
        self.miss('"-"')
        return "-".join(part.strip() for part in parts)

    def _match_dash(self) -> bool:
        if self.text.startswith("-", self.pos) and not self.text.startswith("->", self.pos):
            self.pos += 1
            return True
        return False


def _shown(character: str) -> str:
    return f'"{character}"' if character else "end of input"


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
