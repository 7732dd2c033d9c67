"""Small parsers that are combined to say why a text does not fit, in the words of PostgREST's own (Parsec).

They produce no values. Clients and tests compare error texts, so where two failures meet, Parsec's rules alone decide
which of them is reported, what was "expected" and in which order.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

_UNEXPECTED, _UNEXPECTED_BY_RULE, _EXPECTED = range(3)
_NAMES = (
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "a", "b", "t", "n", "v", "f", "r", "SO", "SI", "DLE", "DC1",
    "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
)  # fmt: skip
"""The characters below the blank, as Haskell shows them."""
_DELETE = 127

Message = tuple[int, str]


class Failure(NamedTuple):
    """Where something did not fit and what is known about it; also kept of what fitted, until more is read."""

    at: int
    messages: tuple[Message, ...] = ()

    def merge(self, later: "Failure") -> "Failure":
        """The one that got further; both where they got equally far."""
        if not later.messages and self.messages:
            return self
        if not self.messages and later.messages:
            return later
        if self.at == later.at:
            return Failure(self.at, self.messages + later.messages)
        return self if self.at > later.at else later

    def expecting(self, label: str) -> "Failure":
        kept = tuple(message for message in self.messages if message[0] != _EXPECTED)
        return Failure(self.at, ((_EXPECTED, label), *kept))

    def words(self) -> str:
        """Returns a message such as `unexpected "x" expecting digit or ","`."""
        by_rule = [text for kind, text in self.messages if kind == _UNEXPECTED_BY_RULE]
        found = [text for kind, text in self.messages if kind == _UNEXPECTED][:1]
        unexpected = _either(by_rule) if by_rule else "".join(found) or ("end of input" if found else "")
        expected = _either([text for kind, text in self.messages if kind == _EXPECTED])
        parts = [f"unexpected {unexpected}" if unexpected else "", f"expecting {expected}" if expected else ""]
        return " ".join(part for part in parts if part) or "unknown parse error"


class Reply(NamedTuple):
    fits: bool
    consumed: bool
    at: int
    failure: Failure


Parser = Callable[[str, int], Reply]


def _fit(start: int, at: int, failure: Failure) -> Reply:
    return Reply(fits=True, consumed=at > start, at=at, failure=failure)


def _mismatch(at: int, failure: Failure, *, consumed: bool = False) -> Reply:
    return Reply(fits=False, consumed=consumed, at=at, failure=failure)


def complain(parser: Parser, text: str) -> tuple[int, int, str]:
    """Line, column and words for a text that does not fit, or that goes on where it should end."""
    reply = sequence(parser, end)(text, 0)
    before = text[: reply.failure.at]
    line = before.count("\n") + 1
    return line, _column(before.rpartition("\n")[2]), reply.failure.words()


def fits(parser: Parser, text: str) -> bool:
    return parser(text, 0).fits


def _column(before: str) -> int:
    column = 1
    for character in before:
        column += 8 - (column - 1) % 8 if character == "\t" else 1
    return column


def _either(words: Iterable[str]) -> str:
    distinct = list(dict.fromkeys(word for word in words if word))
    return " or ".join(part for part in (", ".join(distinct[:-1]), *distinct[-1:]) if part)


@lru_cache(maxsize=256)
def _escape(character: str, quote: str) -> str:
    code = ord(character)
    if character in ("\\", quote):
        return f"\\{character}"
    if code < len(_NAMES):
        return f"\\{_NAMES[code]}"
    if code == _DELETE:
        return "\\DEL"
    return character if code < _DELETE else f"\\{code}"


def _show_character(character: str) -> str:
    return f"'{_escape(character, chr(39))}'" if character else ""


def _show_text(text: str) -> str:
    return f'"{"".join(_escape(character, chr(34)) for character in text)}"' if text else ""


# One character, or many ----------------------------------------------------------------------------------


def _refuse(text: str, at: int, *expected: str) -> Failure:
    unexpected = (_UNEXPECTED, _show_text(text[at : at + 1]))
    return Failure(at, (unexpected, *((_EXPECTED, one) for one in expected)))


def character(pattern: str, *expected: str) -> Parser:
    """One character of a class like `[^,)]`."""
    is_one = re.compile(pattern, re.DOTALL).match

    def parse(text: str, at: int) -> Reply:
        if is_one(text, at):
            return _fit(at, at + 1, Failure(at + 1))
        return _mismatch(at, _refuse(text, at, *expected))

    return parse


def exactly(one: str) -> Parser:
    return character(re.escape(one), _show_text(one))


def run_of(pattern: str, *expected: str, least: int = 0) -> Parser:
    """As many characters of a class as there are."""
    take = re.compile(f"(?:{pattern})*", re.DOTALL).match

    def parse(text: str, at: int) -> Reply:
        found = take(text, at)
        end_at = found.end() if found else at
        failure = _refuse(text, end_at, *expected)
        return _fit(at, end_at, failure) if end_at - at >= least else _mismatch(at, failure)

    return parse


def word(wanted: str) -> Parser:
    """Tells the first character that differs, and its own place rather than that character's."""

    def parse(text: str, at: int) -> Reply:
        if text.startswith(wanted, at):
            return _fit(at, at + len(wanted), Failure(at + len(wanted)))
        given = text[at : at + len(wanted)]
        same = next((i for i, (a, b) in enumerate(zip(wanted, given, strict=False)) if a != b), len(given))
        unexpected = (_UNEXPECTED, _show_text(given[same : same + 1]))
        return _mismatch(at, Failure(at, (unexpected, (_EXPECTED, _show_text(wanted)))), consumed=same > 0)

    return parse


def end(text: str, at: int) -> Reply:
    if at >= len(text):
        return _fit(at, at, Failure(at, ((_EXPECTED, "end of input"), (_UNEXPECTED, ""))))
    shown = _show_character(text[at])
    return _mismatch(at, Failure(at, ((_EXPECTED, "end of input"), (_UNEXPECTED_BY_RULE, shown))))


# Putting together ----------------------------------------------------------------------------------------


def sequence(*parsers: Parser) -> Parser:
    def parse(text: str, at: int) -> Reply:
        consumed, failure = False, Failure(at)
        for parser in parsers:
            fit, moved, at, new = parser(text, at)
            consumed, failure = consumed or moved, new if moved else failure.merge(new)
            if not fit:
                return _mismatch(at, failure, consumed=consumed)
        return Reply(fits=True, consumed=consumed, at=at, failure=failure)

    return parse


def first_of(*parsers: Parser) -> Parser:
    """The next is only tried where the one before took nothing."""

    def parse(text: str, at: int) -> Reply:
        failure = Failure(at)
        for parser in parsers:
            reply = parser(text, at)
            if reply.consumed:
                return reply
            failure = failure.merge(reply.failure)
            if reply.fits:
                return reply._replace(failure=failure)
        return _mismatch(at, failure)

    return parse


def attempt(parser: Parser) -> Parser:
    """Takes nothing where it does not fit."""

    def parse(text: str, at: int) -> Reply:
        reply = parser(text, at)
        return reply if reply.fits else _mismatch(at, reply.failure)

    return parse


def ahead(parser: Parser) -> Parser:
    """Takes nothing where it fits."""

    def parse(text: str, at: int) -> Reply:
        reply = parser(text, at)
        return _fit(at, at, Failure(at)) if reply.fits else reply

    return parse


def unless_followed_by(parser: Parser) -> Parser:
    """Refuses one character that `parser` takes; the failure is reported behind it, as Parsec does."""

    def parse(text: str, at: int) -> Reply:
        reply = parser(text, at)
        if not reply.fits:
            return _fit(at, at, reply.failure)
        return _mismatch(at, Failure(reply.at, ((_UNEXPECTED_BY_RULE, _show_character(text[at])),)))

    return parse


def labelled(label: str, parser: Parser) -> Parser:
    """Reports what was expected by one name where nothing was consumed."""

    def parse(text: str, at: int) -> Reply:
        reply = parser(text, at)
        if reply.consumed or (reply.fits and not reply.failure.messages):
            return reply
        return reply._replace(failure=reply.failure.expecting(label))

    return parse


def nothing(_: str, at: int) -> Reply:
    return _fit(at, at, Failure(at))


def maybe(parser: Parser) -> Parser:
    return first_of(parser, nothing)


def repeated(parser: Parser) -> Parser:
    def parse(text: str, at: int) -> Reply:
        start = at
        while True:
            reply = parser(text, at)
            if not reply.fits:
                if reply.consumed:
                    return reply
                return _fit(start, at, reply.failure)
            at = reply.at

    return parse


def separated(parser: Parser, by: Parser) -> Parser:
    """At least one. `sequence(parser, repeated(sequence(by, parser)))`, without the depth of calls."""

    def parse(text: str, at: int) -> Reply:
        reply = parser(text, at)
        failure = reply.failure
        while reply.fits:
            next_by = by(text, reply.at)
            if not next_by.consumed:
                return reply._replace(failure=failure.merge(next_by.failure))
            if not next_by.fits:
                return next_by
            reply = parser(text, next_by.at)
            failure = Failure(reply.at)
            if not reply.fits:
                failed = reply.failure if reply.consumed else next_by.failure.merge(reply.failure)
                return _mismatch(reply.at, failed, consumed=True)
            reply = reply._replace(consumed=True)
        return reply

    return parse


def unless_it_is(words: tuple[str, ...], parser: Parser) -> Parser:
    """Refuses without a word."""

    def parse(text: str, at: int) -> Reply:
        reply = parser(text, at)
        if reply.fits and text[at : reply.at].strip() in words:
            return _mismatch(reply.at, reply.failure.merge(Failure(reply.at)), consumed=reply.consumed)
        return reply

    return parse
