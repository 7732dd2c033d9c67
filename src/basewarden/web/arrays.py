"""Reads and writes PostgreSQL's text of a list, for pages."""

import re
from collections.abc import Iterable

_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",{}\\\s][^",{}\\]*)')
_NEEDS_QUOTES = re.compile(r'[{},"\\\s]')


def read_array(text: str) -> list[str | None] | None:
    """The elements of `{a,"b c",NULL}`; None for several dimensions, other bounds, or a text that was cut."""
    if not (text.startswith("{") and text.endswith("}")):
        return None
    found: list[str | None] = []
    at, end = 1, len(text) - 1
    while at < end:
        match = _ELEMENT.match(text, at, end)
        if match is None:
            return None
        quoted, plain = match.groups()
        found.append(re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else _read_plain(plain))
        at = match.end()
        if at < end:
            if text[at] != "," or at + 1 == end:
                return None
            at += 1
    return found


def write_array(items: Iterable[str]) -> str:
    """As PostgreSQL itself writes a list of these texts."""
    return "{" + ",".join(map(_write_item, items)) + "}"


def _write_item(text: str) -> str:
    if text and text.upper() != "NULL" and not _NEEDS_QUOTES.search(text):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _read_plain(text: str) -> str | None:
    return None if text == "NULL" else text
