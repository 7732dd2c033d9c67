"""What the palette lists, and which of it fits what was typed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

MAX_PER_GROUP = 6


@dataclass(frozen=True, slots=True)
class PaletteItem:
    """A place to go, or a command. The beginnings of its `keywords` find it too.

    A command with `script` is run by the page itself; its link is for browsers without script. `is_more` is a link to
    results that are not listed.
    """

    label: str
    href: str
    icon: str
    hint: str | None = None
    keywords: str = ""
    method: Literal["get", "post"] = "get"
    script: Literal["theme", "shortcuts"] | None = None
    is_more: bool = False


@dataclass(frozen=True, slots=True)
class PaletteGroup:
    title: str
    items: Sequence[PaletteItem]


def match_groups(groups: Iterable[PaletteGroup], text: str) -> list[PaletteGroup]:
    """Keeps the items that have every word, the best first; the group with the best item comes first."""
    words = text.lower().split()
    ranked: list[tuple[int, PaletteGroup]] = []
    for group in groups:
        scored = [(score, item) for item in group.items if (score := _score(item, words)) is not None]
        scored.sort(key=lambda pair: pair[0])
        if scored:
            kept = PaletteGroup(group.title, [item for _, item in scored[:MAX_PER_GROUP]])
            ranked.append((scored[0][0], kept))
    ranked.sort(key=lambda pair: pair[0])
    return [group for _, group in ranked]


def _score(item: PaletteItem, words: Sequence[str]) -> int | None:
    """Returns None for an item that does not fit, else a number that is smaller the better it does."""
    label, keywords = item.label.lower(), item.keywords.lower().split()
    if not all(word in label or any(one.startswith(word) for one in keywords) for word in words):
        return None
    if not words or label.startswith(words[0]):
        return 0
    if any(part.startswith(words[0]) for part in label.split()):
        return 1
    return 2 if words[0] in label else 3
