"""Paths that a form comes back to, with a parameter of the page's address that says what was done."""

from collections.abc import Collection
from urllib.parse import parse_qsl, urlencode

MAX_BACK = 4000
DONE_PARAMETERS = ("written", "undone", "done", "deleted")


def is_back_path(path: str, prefix: str) -> bool:
    """Whether it is a path of this site below `prefix`, so that it may be redirected to."""
    is_plain = path.isascii() and path.isprintable() and "\\" not in path and len(path) <= MAX_BACK
    return is_plain and path.startswith(prefix)


def add_parameter(path: str, name: str, value: str) -> str:
    """The path with only this one of the parameters that say what was done."""
    plain = strip_parameters(path, DONE_PARAMETERS)
    return f"{plain}{'&' if '?' in plain else '?'}{urlencode({name: value})}"


def strip_parameters(path: str, names: Collection[str]) -> str:
    before, _, query = path.partition("?")
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in names]
    return f"{before}?{urlencode(kept)}" if kept else before
