"""Colours code on the server: every piece of text is escaped, and a class names what it is."""

from collections.abc import Iterator
from functools import cache
from itertools import groupby
from typing import Final

from markupsafe import Markup
from pygments.lexer import Lexer
from pygments.lexers.configs import IniLexer
from pygments.lexers.data import JsonLexer
from pygments.lexers.javascript import JavascriptLexer
from pygments.lexers.python import PythonLexer
from pygments.lexers.shell import BashLexer
from pygments.lexers.sql import PostgresLexer
from pygments.token import Token

_LEXERS: Final = {
    "curl": BashLexer,
    "ini": IniLexer,
    "js": JavascriptLexer,
    "json": JsonLexer,
    "python": PythonLexer,
    "sh": BashLexer,
    "sql": PostgresLexer,
}
_KINDS: Final = (
    (Token.Comment, "comment"),
    (Token.Keyword, "keyword"),
    (Token.Operator.Word, "keyword"),
    (Token.Name.Tag, "name"),
    (Token.Name.Function, "name"),
    (Token.Name.Builtin, "name"),
    (Token.Name.Variable, "name"),
    (Token.Literal.String, "string"),
    (Token.Literal.Number, "number"),
)


def highlight(code: str, language: str) -> Markup:
    """The text as it is, with spans of the classes `code-…`; a language that is not known stays plain."""
    if language not in _LEXERS:
        return Markup("{}").format(code)
    pieces = groupby(_list_pieces(code, language), key=lambda piece: piece[0])
    return Markup("").join(_mark(kind, "".join(text for _, text in found)) for kind, found in pieces)


def _list_pieces(code: str, language: str) -> Iterator[tuple[str, str]]:
    for kind, text in _find_lexer(language).get_tokens(code):
        yield next((name for parent, name in _KINDS if kind in parent), ""), text


@cache
def _find_lexer(language: str) -> Lexer:
    """Lexers change nothing of the text: no stripped lines, no added end."""
    return _LEXERS[language](stripnl=False, ensurenl=False)


def _mark(kind: str, text: str) -> Markup:
    return Markup('<span class="code-{}">{}</span>').format(kind, text) if kind else Markup("{}").format(text)
