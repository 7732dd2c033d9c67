"""The known name that a mistyped one most likely meant, chosen as PostgREST's FuzzySet does."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import sqrt

_MOST_NAMES = 500  # comparing with more costs more than the hint is worth
_LONGEST_WORD = 200
_MOST_RATED = 50
_MOST_OFF = 3
_SIZES = (3, 2)


def closest(word: str, names: Iterable[str], least: float) -> str | None:
    """The best name whose likeness (1 is equal, 0 has nothing in common) is at least `least`."""
    known = {name.lower(): name for name in sorted(set(names))}
    wanted = word.lower()
    if len(known) > _MOST_NAMES or len(word) > _LONGEST_WORD:
        return None
    if wanted in known:
        return known[wanted]
    for size in _SIZES:
        alike = (name for name in _share_most(wanted, known, size) if _may_be(wanted, name, least))
        rated = [(likeness(wanted, name), name) for name in alike]
        best = max(rated, key=lambda pair: pair[0], default=(-1.0, ""))
        if best[0] >= least:
            return known[best[1]]
    return None


def find_misspelt(word: str, names: Iterable[str]) -> list[str]:
    """The nearest one or two, by PostgreSQL's own rule for columns: at most three characters off, and half of them."""
    known = list(names)
    if len(known) > _MOST_NAMES or len(word) > _LONGEST_WORD:
        return []
    rated = [(edit_distance(word, name), name) for name in known]
    nearest = min((far for far, _ in rated), default=_MOST_OFF + 1)
    found = [name for far, name in rated if far == nearest]
    return found if nearest <= min(_MOST_OFF, len(word) // 2) and len(found) <= 2 else []


def likeness(one: str, other: str) -> float:
    longest = max(len(one), len(other))
    return 1 - edit_distance(one, other) / longest if longest else 1.0


def edit_distance(one: str, other: str) -> int:
    """Returns Levenshtein's distance: the least number of characters to add, drop or change.

    A row of the usual table is kept as two numbers, whose bits say where it steps up and where down (Myers, 1999):
    any caller may have a name compared with hundreds, and other requests wait meanwhile.
    """
    if not one:
        return len(other)
    places: dict[str, int] = {}
    for at, char in enumerate(one):
        places[char] = places.get(char, 0) | 1 << at
    every, last = (1 << len(one)) - 1, 1 << len(one) - 1
    up, down, distance = every, 0, len(one)
    for char in other:
        equal = places.get(char, 0)
        across = (((equal & up) + up) ^ up) | equal
        rises, falls = down | ~(across | up) & every, up & across
        distance += bool(rises & last) - bool(falls & last)
        rises, falls = (rises << 1 | 1) & every, falls << 1 & every
        up, down = falls | ~(equal | down | rises) & every, rises & (equal | down)
    return distance


def _may_be(word: str, name: str, least: float) -> bool:
    """Too different a length cannot be alike."""
    shorter, longer = sorted((len(word), len(name)))
    return shorter >= least * longer


def _share_most(word: str, names: Iterable[str], size: int) -> list[str]:
    """Lists the names that share pieces of `size` characters with `word`, the most alike first."""
    wanted = _count_pieces(word, size)
    rated = [(_cosine(wanted, _count_pieces(name, size)), name) for name in sorted(names)]
    shared = sorted((pair for pair in rated if pair[0]), key=lambda pair: -pair[0])
    return [name for _, name in shared[:_MOST_RATED]]


@lru_cache(maxsize=4096)
def _count_pieces(text: str, size: int) -> Counter[str]:
    kept = "".join(char for char in text if char.isalnum() or char.isspace() or char == ",")
    framed = f"-{kept}-"
    return Counter(framed[i : i + size] for i in range(len(framed) - size + 1))


def _cosine(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    shared = sum(count * other[piece] for piece, count in one.items() if piece in other)
    return shared / (_length(one) * _length(other)) if shared else 0.0


def _length(pieces: Mapping[str, int]) -> float:
    return sqrt(sum(count * count for count in pieces.values()))
