"""The table of what held, by family and backend."""

from collections import Counter
from collections.abc import Iterable

PROPERTY = "attack"
"""Under which a test reports its family and backend."""


def format_table(results: Iterable[tuple[str, bool]]) -> list[str]:
    """One row for each family and backend: scripts that ran, and those that held."""
    ran: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for place, is_held in results:
        ran[place] += 1
        held[place] += is_held
    rows = [f"| {place} | {count} | {held[place]} |" for place, count in sorted(ran.items())]
    total = f"| all | | {ran.total()} | {held.total()} |"
    return ["| family | backend | scripts | held |", "|---|---|---|---|", *rows, total] if rows else []
