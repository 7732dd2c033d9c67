"""Describes in words what a session or a write did: "Deleted 120 customers, changed 261 prices"."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from basewarden.core.brief import make_brief

MAX_NAME = 40
PARTS = 2
_WORDS = {"insert": "added", "update": "changed", "delete": "deleted", "mixed": "changed", "call": "called"}
_PLANNED_WORDS = {"insert": "add", "update": "change", "delete": "delete", "mixed": "change", "call": "call"}
_EMPTY_WORDS = {"insert": "Added", "upsert": "Added", "delete": "Deleted"}
_ROW_VERBS = {"insert", "update", "delete"}
_WEIGHTS = {"delete": 100, "update": 10, "mixed": 10, "insert": 1, "call": 0}
"""A change of data comes before one that is ten times as large but adds rows only."""
_UNDO_WORDS = {
    ("undo", "done"): "Undid",
    ("undo", "running"): "Undoing",
    ("redo", "done"): "Redid",
    ("redo", "running"): "Redoing",
}
_PLURAL = re.compile(r"(?!.*(?:ss|us|is)$)[a-z]{3,}s|people|children")
_SINGULARS = (
    (re.compile(r"people"), "person"),
    (re.compile(r"children"), "child"),
    (re.compile(r"(?:series|species|news|movies|cookies)|[a-z]*(?:uses|oes|ves|zzes|[^tnr]ches)"), None),
    (re.compile(r"([a-z]{2,})ies"), r"\1y"),
    (re.compile(r"([a-z]+(?:ss|x|sh|[tnr]ch))es"), r"\1"),
    (re.compile(r"([a-z]+)s"), r"\1"),
)
"""The first that matches the whole name gives the word for one row; None: it cannot be known."""


@dataclass(frozen=True, slots=True)
class VerbCount:
    """How many rows of a table were changed by one verb: insert, update or delete.

    A `call` counts calls of the function `table`. A `mixed` count is of a write whose tables and verbs were not counted
    separately: `table` is the one that its request named, "" where it named none.
    """

    verb: str
    schema: str
    table: str
    rows: int
    is_cascade: bool = False


@dataclass(frozen=True, slots=True)
class UndoOrigin:
    """The session that an undo reverts, or that a redo restores; `name` is its label, `rows` how many were written."""

    title: str
    is_redo: bool = False
    state: str = "done"
    name: str = ""
    rows: int = 0

    def describe(self) -> str:
        """Returns "Undid 1 row of spring-cleaning" where the session has a name and rows of it were undone."""
        verb = "redo" if self.is_redo else "undo"
        word = _UNDO_WORDS.get((verb, self.state), f"Failed to {verb}")
        if self.name and self.rows and self.state == "done":
            return f"{word} {self.rows:,} {'row' if self.rows == 1 else 'rows'} of {self.name}"
        return f"{word} “{self.title}”"


def describe_session(
    changes: Sequence[VerbCount],
    *,
    label: str | None = None,
    unknown: Sequence[VerbCount] = (),
    origin: UndoOrigin | None = None,
    blocked: str | None = None,
    is_partial: bool = False,
) -> str:
    """Returns a session's title.

    `unknown` are changes that may not have happened, `blocked` is a refused request ("DELETE orders"), `is_partial`
    means that the session changed more than `changes` count.
    """
    if origin is not None:
        return origin.describe()
    title = describe_changes(changes, is_partial=is_partial)
    if not title and unknown:
        title = f"Perhaps {_lower(describe_changes(unknown))}"
    title = title or (f"Blocked: {blocked}" if blocked else "No changes")
    name = make_brief(label or "")
    return f"{name}: {_lower(title)}" if name else title


def describe_changes(
    changes: Iterable[VerbCount],
    *,
    schemas: Iterable[str] | None = None,
    is_partial: bool = False,
    is_planned: bool = False,
) -> str:
    """Returns "" for no changes. Schemas are named where `schemas`, or those of the changes, are more than one.

    What is planned reads "Change 5 prices", what was done "Changed 5 prices".
    """
    merged = merge_counts(changes)
    named = {count.schema for count in merged if count.schema} if schemas is None else set(schemas)
    shown = sorted([count for count in merged if not count.is_cascade] or merged, key=_rank)[:PARTS]
    rest = [count for count in merged if count.verb != "call" and count.table and not _is_of_same_table(count, shown)]
    more = len({(count.schema, count.table) for count in rest})
    if more == 1:  # its rows are as short as a word for them
        shown, more = [*shown, min(rest, key=_rank)], 0
    if not shown:
        return ""
    words = _PLANNED_WORDS if is_planned else _WORDS
    parts = [_describe(count, words, is_qualified=len(named) > 1, is_partial=is_partial) for count in shown]
    text = _join_parts(shown, parts, f"rows of {more} more tables" if more else "")
    return text[0].upper() + text[1:]


def _is_of_same_table(count: VerbCount, shown: Iterable[VerbCount]) -> bool:
    return any((count.schema, count.table) == (one.schema, one.table) for one in shown)


def _join_parts(shown: Sequence[VerbCount], parts: Sequence[str], rest: str) -> str:
    """Names a verb once: "changed 99 prices and 5 products"; of the `rest` the verb is not said."""
    pairs = [(count.verb, part) for count, part in zip(shown, parts, strict=True)]
    by_verb = [(verb, [part for _, part in same]) for verb, same in groupby(pairs, key=lambda pair: pair[0])]
    texts = []
    for verb, same in by_verb:
        named = [same[0], *(part.partition(" ")[2] for part in same[1:])] if verb in _ROW_VERBS else same
        texts.append((" and " if verb in _ROW_VERBS and not (rest and len(by_verb) == 1) else ", ").join(named))
    text = ", ".join(texts)
    if not rest:
        return text
    return f"{text} and {rest}" if len(by_verb) == 1 else f"{text}, and {rest}"


def describe_write(verb: str, table: str, changes: Sequence[VerbCount], *, is_planned: bool = False) -> str:
    """Describes one write; one without recorded rows is named by its verb and table."""
    own = [count for count in changes if not count.is_cascade] or changes
    named = describe_changes(own, is_planned=is_planned)
    if verb == "call":
        rest = f", {_lower(named)}" if named else ""
        return f"{'Call' if is_planned else 'Called'} function {show_name(table)}{rest}"
    word = _PLANNED_WORDS.get(verb, "change").capitalize() if is_planned else _EMPTY_WORDS.get(verb, "Changed")
    return named or f"{word} no known rows" + (f" of {show_name(table)}" if table else "")


def describe_rows(rows: int, table: str) -> str:
    """Returns "261 prices" and "1 price", or "261 rows of order_item" where the table's name is not a plain plural."""
    if rows != 1 and _PLURAL.fullmatch(table):
        return f"{rows:,} {table}"
    singular = _find_singular(table) if rows == 1 and _PLURAL.fullmatch(table) else None
    if singular is not None:
        return f"1 {singular}"
    return f"{rows:,} {'row' if rows == 1 else 'rows'} of {show_name(table)}"


def name_one_row(table: str, key: str) -> str:
    """Returns "price 12", or the name of the table as it is where its singular is not known."""
    singular = _find_singular(table) if _PLURAL.fullmatch(table) else None
    return f"{singular or show_name(table)} {key}"


def _find_singular(table: str) -> str | None:
    form = next(((match, word) for rule, word in _SINGULARS if (match := rule.fullmatch(table))), None)
    return form[0].expand(form[1]) if form is not None and form[1] is not None else None


def describe_cascades(changes: Iterable[VerbCount]) -> str:
    """Returns "188 addresses, 356 orders": the rows that foreign keys changed."""
    cascaded = sorted((count for count in merge_counts(changes) if count.is_cascade), key=_rank)
    parts = [describe_rows(count.rows, count.table) for count in cascaded[:3]]
    more = len(cascaded) - len(parts)
    return ", ".join(parts) + (f" and rows of {more} more {'table' if more == 1 else 'tables'}" if more else "")


def sort_counts(changes: Iterable[VerbCount]) -> list[VerbCount]:
    """Returns the counts with the most important first."""
    return sorted(merge_counts(changes), key=_rank)


def show_name(name: str) -> str:
    """Returns the name of a table or function, on one line of a bounded length."""
    return make_brief(name, MAX_NAME)


def merge_counts(changes: Iterable[VerbCount]) -> list[VerbCount]:
    """Adds the counts of the same table and verb."""
    rows: dict[VerbCount, int] = {}
    for count in changes:
        key = replace(count, rows=0)
        rows[key] = rows.get(key, 0) + count.rows
    return [replace(key, rows=number) for key, number in rows.items() if number]


def _rank(count: VerbCount) -> tuple[int, int, str, str]:
    weight = _WEIGHTS.get(count.verb, 0)
    return -weight * count.rows, -weight, count.schema, count.table


def _describe(count: VerbCount, words: Mapping[str, str], *, is_qualified: bool, is_partial: bool) -> str:
    name = f"{count.schema}.{count.table}" if is_qualified and count.schema else count.table
    word = words.get(count.verb, words["update"])
    if count.verb == "call":
        times = "" if count.rows == 1 else f" {count.rows:,} times"
        return f"{word} function {show_name(name)}{times}"
    more = "more than " if is_partial else ""
    if count.verb != "mixed":
        return f"{word} {more}{describe_rows(count.rows, name)}"
    rows = f"{word} {more}{count.rows:,} {'row' if count.rows == 1 else 'rows'}"
    return f"{rows} of {show_name(name)} and other tables" if name else rows


def _lower(title: str) -> str:
    return title[:1].lower() + title[1:]
