"""What the palette lists, and which of it fits what was typed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

MAX_PER_GROUP = 6


@dataclass(frozen=True, slots=True)
class PaletteItem:
    """A place to go, or a command. The beginnings of its `keywords` find it too.

    A command with `script` is run by the page itself; its link is for browsers without script. `is_more` is a link to
    results that are not listed. `stops_work`: one press stops or breaks something, so it is never the one that Enter
    takes before a person has moved to it.
    """

    label: str
    href: str
    icon: str
    hint: str | None = None
    keywords: str = ""
    method: Literal["get", "post"] = "get"
    script: Literal["theme", "shortcuts"] | None = None
    is_more: bool = False
    stops_work: bool = False


@dataclass(frozen=True, slots=True)
class PaletteGroup:
    title: str
    items: Sequence[PaletteItem]
    are_commands: bool = False


def match_groups(groups: Iterable[PaletteGroup], text: str) -> list[PaletteGroup]:
    """Keeps the items that have every word, the best first; the group with the best item comes first, commands last."""
    words = text.lower().split()
    ranked: list[tuple[bool, int, PaletteGroup]] = []
    for group in groups:
        fitting = [item for item in group.items if not group.are_commands or _has_beginnings(item, words)]
        scored = [(score, item) for item in fitting if (score := _score(item, words)) is not None]
        scored.sort(key=lambda pair: pair[0])
        if scored:
            kept = replace(group, items=[item for _, item in scored[:MAX_PER_GROUP]])
            ranked.append((bool(words) and group.are_commands, scored[0][0], kept))
    ranked.sort(key=lambda one: one[:2])
    return [group for _, _, group in ranked]


def add_rows(groups: Sequence[PaletteGroup], rows: Sequence[PaletteGroup]) -> list[PaletteGroup]:
    """Puts rows that were searched for below the places and above the commands."""
    places = [group for group in groups if not group.are_commands]
    return [*places, *rows, *(group for group in groups if group.are_commands)] if rows else list(groups)


def _has_beginnings(item: PaletteItem, words: Sequence[str]) -> bool:
    """A command is meant by how its words begin: "eth" means Ethiopia, and not "Let the agent break something"."""
    parts = [*item.label.lower().split(), *item.keywords.lower().split()]
    return all(any(part.startswith(word) for part in parts) for word in words)


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
