"""The known name that a mistyped one most likely meant."""

from collections.abc import Iterable

_MOST_NAMES = 500  # comparing with more costs more than the hint is worth


def closest(word: str, names: Iterable[str], least: float) -> str | None:
    """The best name whose likeness (1 is equal, 0 has nothing in common) is at least `least`."""
    known = sorted(set(names))
    if len(known) > _MOST_NAMES or len(word) > 200:
        return None
    rated = [(likeness(word.lower(), name.lower()), name) for name in known if _share_pair(word, name)]
    best = max(rated, key=lambda pair: pair[0], default=(0.0, None))
    return best[1] if best[0] >= least else None


def likeness(one: str, other: str) -> float:
    longest = max(len(one), len(other))
    return 1 - edit_distance(one, other) / longest if longest else 1.0


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's: the least number of letters to add, drop or change."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        diagonal, row[0] = row[0], i
        for j, facing in enumerate(other, 1):
            cost = min(row[j] + 1, row[j - 1] + 1, diagonal + (letter != facing))
            diagonal, row[j] = row[j], cost
    return row[-1]


def _share_pair(one: str, other: str) -> bool:
    pairs = {one[i : i + 2].lower() for i in range(len(one) - 1)}
    return any(other[i : i + 2].lower() in pairs for i in range(len(other) - 1))
