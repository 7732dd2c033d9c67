"""What stands for an agent or a person beside their name: initials and a colour."""

import re
import zlib

HUES = 12
"""As many as `--hue-…` in `assets/styles/tokens.css`."""
_WORD = re.compile(r"[^\W_]+")


def make_initials(name: str) -> str:
    """`price-bot` is PB, `demo` is DE, `ann.lee@example.com` is AL."""
    words: list[str] = _WORD.findall(name.partition("@")[0]) or _WORD.findall(name) or ["?"]
    initials = words[0][:2] if len(words) == 1 else words[0][0] + words[1][0]
    return initials.upper()


def choose_hue(name: str) -> int:
    """1 to 12; the same name always has the same colour."""
    return zlib.crc32(name.encode()) % HUES + 1
