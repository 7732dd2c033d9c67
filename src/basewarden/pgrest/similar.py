"""The known name that a mistyped one most likely meant."""

from collections.abc import Iterable

_MOST_NAMES = 500  # comparing with more costs more than the hint is worth


def closest(word: str, names: Iterable[str], least: float) -> str | None:
    """The best name whose likeness (1 is equal, 0 has nothing in common) is at least `least`."""
    known = set(names)
    if len(known) > _MOST_NAMES or len(word) > 200:
        return None
    rated = [(likeness(word.lower(), name.lower()), name) for name in sorted(known) if _may_be(word, name, least)]
    best = max(rated, key=lambda pair: pair[0], default=(0.0, None))
    return best[1] if best[0] >= least else None


def likeness(one: str, other: str) -> float:
    longest = max(len(one), len(other))
    return 1 - edit_distance(one, other) / longest if longest else 1.0


def edit_distance(one: str, other: str) -> int:
    """Levenshtein's: the least number of letters to add, drop or change.

    A row of the usual table is kept as two numbers, whose bits say where it steps up and where down (Myers, 1999):
    anybody may have a name compared with hundreds, and other requests wait meanwhile.
    """
    if not one:
        return len(other)
    places: dict[str, int] = {}
    for at, letter in enumerate(one):
        places[letter] = places.get(letter, 0) | 1 << at
    every, last = (1 << len(one)) - 1, 1 << len(one) - 1
    up, down, distance = every, 0, len(one)
    for letter in other:
        equal = places.get(letter, 0)
        across = (((equal & up) + up) ^ up) | equal
        rises, falls = down | ~(across | up) & every, up & across
        distance += bool(rises & last) - bool(falls & last)
        rises, falls = (rises << 1 | 1) & every, falls << 1 & every
        up, down = falls | ~(equal | down | rises) & every, rises & (equal | down)
    return distance


def _may_be(word: str, name: str, least: float) -> bool:
    shorter, longer = sorted((len(word), len(name)))
    return shorter >= least * longer and _share_pair(word, name)


def _share_pair(one: str, other: str) -> bool:
    pairs = {one[i : i + 2].lower() for i in range(len(one) - 1)}
    return any(other[i : i + 2].lower() in pairs for i in range(len(other) - 1))
