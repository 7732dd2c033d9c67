"""Checks of text that people type."""

import unicodedata

_DIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates of text direction: in a name they reorder the words around it."""


def clean_line(text: str) -> str:
    """Returns one line in NFC without surrounding space.

    Raises ValueError if it holds control characters, also those that set the direction of the text after them.
    """
    line = unicodedata.normalize("NFC", text).strip()
    if any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or one in _DIRECTIONAL for one in line):
        raise ValueError("must be a single line of text")
    return line


def check_storable(text: str) -> str:
    """Raises ValueError for a NUL, which no text of PostgreSQL can hold and so no search can find."""
    if "\x00" in text:
        raise ValueError("contains a character that PostgreSQL does not accept")
    return text


def check_encodable(text: str) -> str:
    """Raises ValueError for half of a surrogate pair, which JSON can hold but no encoding and no database accepts."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character") from None
    return text
