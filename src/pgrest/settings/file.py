"""PostgREST's configuration file: `name = value` lines, and whatever else its format knows.

Groups (`app { settings { … } }`), imports, lists, comments (`#`, and `#;` before a whole directive), strings with
escapes over several lines, and `$(name)` for an earlier value or an environment variable, `$$` for a dollar sign.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import NoReturn

from pgrest.settings.errors import BadSettings

Value = str | bool | Decimal | list["Value"]
Values = dict[str, Value]

_BLANK = re.compile(r"(?:[ \t\r\n\f\v]|#(?!;)[^\r\n]*)*")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\r\n]*)?")
_LINE_END = re.compile(r"\r?\n|\Z")
_NAME = re.compile(r"[^\W\d_][\w-]*(?:\.[^\W\d_][\w-]*)*")
_WORDS = {"true": True, "on": True, "false": False, "off": False}
_WORD = re.compile("|".join(_WORDS))
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_PLAIN_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
_INSERTION = re.compile(r"\$(?:(\$)|\(([^)]+)\)|)")
_DEEPEST = 20
"""Groups, lists and imports inside each other."""


def read_file(path: Path, environ: Mapping[str, str]) -> Values:
    """BadSettings says the line; it never quotes it, for it may hold a secret."""
    values: Values = {}
    _read_into(values, path, "", environ, 0)
    return values


def _read_into(values: Values, path: Path, prefix: str, environ: Mapping[str, str], depth: int) -> None:
    if depth > _DEEPEST:
        raise BadSettings(f"{path} imports itself, or too deep")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadSettings(f"{path} is not UTF-8") from None
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}") from None

    def insert(name: str, inner: str) -> str | None:
        return _find_inserted(values, inner, name, environ)

    def include(name: str, inner: str) -> None:
        _read_into(values, path.parent / name, inner, environ, depth + 1)

    _FileReader(text, str(path), values, insert, include).read(prefix)


def _find_inserted(values: Values, prefix: str, name: str, environ: Mapping[str, str]) -> str | None:
    """An earlier value of this group or of one around it, else an environment variable."""
    groups = prefix.split(".")[:-1]
    for size in range(len(groups), -1, -1):
        value = values.get(".".join([*groups[:size], name]))
        if isinstance(value, (str, Decimal)):
            return str(value)
    return environ.get(name)


class _FileReader:
    """Goes through one file from its start to its end."""

    def __init__(
        self,
        text: str,
        where: str,
        values: Values,
        insert: Callable[[str, str], str | None],
        include: Callable[[str, str], None],
    ) -> None:
        self._text = text
        self._where = where
        self._values = values
        self._insert = insert
        self._include = include
        self._at = 0

    def read(self, prefix: str) -> None:
        self._take(_BLANK)
        self._read_directives(prefix, 0)
        if self._at < len(self._text):
            self._fail("is not `name = value`")

    def _read_directives(self, prefix: str, depth: int, *, keeps: bool = True) -> None:
        while self._at < len(self._text) and self._text[self._at] != "}":
            self._read_directive(prefix, depth, keeps=keeps)
            self._take(_REST_OF_LINE)
            if self._text[self._at : self._at + 1] != "}" and self._take(_LINE_END) is None:
                self._fail("has more than one value")
            self._take(_BLANK)

    def _read_directive(self, prefix: str, depth: int, *, keeps: bool) -> None:
        if depth > _DEEPEST:
            self._fail("is nested too deep")
        if self._text.startswith("#;", self._at):
            self._at += 2
            self._take(_REST_OF_LINE)
            self._read_directive(prefix, depth + 1, keeps=False)
            return
        name = self._take(_NAME)
        if name is None:
            self._fail("is not `name = value`")
        self._take(_BLANK)
        if name == "import":
            target = self._read_string()
            if keeps:
                self._include(target, prefix)
        elif self._skip("="):
            self._take(_BLANK)
            value = self._read_value(0)
            if keeps:
                self._values[prefix + name] = self._fill_in(value, prefix)
        elif self._skip("{"):
            self._take(_BLANK)
            self._read_directives(f"{prefix}{name}.", depth + 1, keeps=keeps)
            if not self._skip("}"):
                self._fail("opens a group that is never closed")
        else:
            self._fail("is not `name = value`")

    def _read_value(self, depth: int) -> Value:
        if self._text.startswith('"', self._at):
            return self._read_string()
        word = self._take(_WORD)
        if word is not None:
            return _WORDS[word]
        number = self._take(_NUMBER)
        if number is not None:
            return Decimal(number)
        if not self._skip("[") or depth >= _DEEPEST:
            self._fail("has no value: a text in quotes, a number, true or false")
        return self._read_list(depth + 1)

    def _read_list(self, depth: int) -> list[Value]:
        items: list[Value] = []
        self._take(_BLANK)
        while not self._skip("]"):
            items.append(self._read_value(depth))
            self._take(_BLANK)
            if self._skip(","):
                self._take(_BLANK)
            elif not self._text.startswith("]", self._at):
                self._fail("opens a list that is never closed")
        return items

    def _read_string(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is None:
            self._fail("has a text whose quotes are not closed")
        text = _ESCAPE.sub(self._unescape, found[1])
        self._at = found.end()
        return text

    def _unescape(self, found: re.Match[str]) -> str:
        escape = found[1]
        if escape in _PLAIN_ESCAPES:
            return _PLAIN_ESCAPES[escape]
        if len(escape) == 1:
            self._fail(f"has the escape \\{escape}, which does not exist")
        units = b"".join(int(unit, 16).to_bytes(2, "big") for unit in re.findall(r"u([0-9a-fA-F]{4})", escape))
        try:
            return units.decode("utf-16-be")
        except UnicodeDecodeError:
            self._fail("has half of a character as an escape")

    def _fill_in(self, value: Value, prefix: str) -> Value:
        if not isinstance(value, str):
            return value
        return _INSERTION.sub(lambda found: self._replace(found, prefix), value)

    def _replace(self, found: re.Match[str], prefix: str) -> str:
        if found[1]:
            return "$"
        if found[2] is None:
            self._fail("has a lone dollar sign in a text; write $$ for one")
        inserted = self._insert(found[2], prefix)
        if inserted is None:
            self._fail(f"inserts $({found[2]}), which is neither an earlier value nor an environment variable")
        return inserted

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _skip(self, mark: str) -> bool:
        is_there = self._text.startswith(mark, self._at)
        if is_there:
            self._at += len(mark)
        return is_there

    def _fail(self, what: str) -> NoReturn:
        line = self._text.count("\n", 0, self._at) + 1
        raise BadSettings(f"line {line} of {self._where} {what}")
