"""The numbers at the top of a session's page: its rows by table."""

from collections.abc import Sequence
from dataclasses import replace

from basewarden.journal.sessions import VerbCount, show_name, sort_counts

FIGURES = 6
_NAMED = 3
_SIGNS = {"insert": "+", "delete": "\u2212"}
_NOTES = {"insert": "added", "update": "changed", "delete": "deleted", "mixed": "changed, with other tables"}
Figure = tuple[str, str, str]
"""A label, the numbers with their signs, and what they count."""


def list_figures(changes: Sequence[VerbCount]) -> list[Figure]:
    """Lists a figure for each table, the most important first; together they count all rows.

    Rows that foreign keys changed are with those of their table where the session wrote it too, as in the preview of
    its undo; those of other tables are one figure.
    """
    counts = sort_counts(replace(one, is_cascade=False) for one in changes if one.verb in _NOTES)
    own = list(dict.fromkeys(_find_table(one) for one in sort_counts(changes) if not one.is_cascade))
    written = [[one for one in counts if _find_table(one) == table] for table in own]
    groups = [group for group in written if group]
    cascaded = [one for one in counts if _find_table(one) not in own]
    most = FIGURES - bool(cascaded)
    shown = len(groups) if len(groups) <= most else most - 1
    figures = [_make_figure(show_name(group[0].table) or "rows", group) for group in groups[:shown]]
    rest = [one for group in groups[shown:] for one in group]
    if rest:
        figures.append(_make_sum("other tables", rest))
    if cascaded:
        figures.append(_make_sum("by foreign keys", cascaded))
    return figures


def _find_table(count: VerbCount) -> tuple[str, str]:
    return count.schema, count.table


def _make_sum(label: str, counts: Sequence[VerbCount]) -> Figure:
    """Adds up the rows of several tables, and names them where they are few."""
    rows: dict[str, int] = {}
    for count in counts:
        rows[count.verb] = rows.get(count.verb, 0) + count.rows
    summed = [VerbCount(verb, "", "", rows[verb]) for verb in ("insert", "delete", "update", "mixed") if verb in rows]
    _, number, words = _make_figure(label, summed)
    names = list(dict.fromkeys(show_name(count.table) for count in counts))
    where = ", ".join(names) if len(names) <= _NAMED else f"{len(names)} tables"
    return label, number, f"{words} in {where}"


def _make_figure(label: str, counts: Sequence[VerbCount]) -> Figure:
    number = " ".join(f"{_SIGNS.get(count.verb, '~')}{count.rows:,}" for count in counts)
    return label, number, ", ".join(_NOTES[count.verb] for count in counts)
