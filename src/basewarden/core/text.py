"""Text that people type."""

import unicodedata


def clean_line(text: str) -> str:
    """One line without surrounding space, in NFC; ValueError where it holds control characters."""
    line = unicodedata.normalize("NFC", text).strip()
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in line):
        raise ValueError("must be a single line of text")
    return line


def check_encodable(text: str) -> str:
    """JSON can spell half a character, which no encoding and no database takes; ValueError then."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character") from None
    return text
