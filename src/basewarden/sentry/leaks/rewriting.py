"""Undoes what hides a secret in code: joined strings, escapes of JavaScript and JSON, URL encoding. Pure."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_HIDING: Final = re.compile(
    r"""(?P<join>["'`]\s{0,40}\+\s{0,40}["'`])|\\{1,4}(?P<space>[nrt])|\\u00(?P<unicode>[2-7][0-9a-fA-F])"""
    r"|\\x(?P<byte>[2-7][0-9a-fA-F])|\\(?P<slash>/)|%(?P<percent>[2-7][0-9a-fA-F])"
)


@dataclass(frozen=True, slots=True)
class RewrittenText:
    """`places` are two sorted lists: where in `text` a piece begins, and where it began before."""

    text: str
    places: tuple[Sequence[int], Sequence[int]]

    def find_place(self, offset: int) -> int:
        """Where `offset` was in the text before."""
        starts, originals = self.places
        piece = bisect_right(starts, offset) - 1
        return originals[piece] + offset - starts[piece]


def rewrite(text: str) -> RewrittenText | None:
    """None where nothing is hidden in these ways."""
    pieces: list[str] = []
    starts, originals, length, end = [0], [0], 0, 0
    for match in _HIDING.finditer(text):
        decoded = _decode(match)
        kept = text[end : match.start()]
        pieces += (kept, decoded)
        length += len(kept) + len(decoded)
        end = match.end()
        starts.append(length)
        originals.append(end)
    if not pieces:
        return None
    pieces.append(text[end:])
    return RewrittenText("".join(pieces), (starts, originals))


def _decode(match: re.Match[str]) -> str:
    found = match.lastgroup
    if found == "join":
        return ""
    if found in ("slash", "space"):
        return "/" if found == "slash" else "\n"
    return chr(int(match[found or 0], 16))
