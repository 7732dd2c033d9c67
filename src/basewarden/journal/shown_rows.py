"""Prepares a recorded row for a page: its label, what changed, what a trigger changed."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from basewarden.core.addresses import row_path
from basewarden.core.brief import make_brief
from basewarden.core.ids import parse_id
from basewarden.core.row_labels import describe_references, find_label
from basewarden.journal.models import JournalMutation, JournalSession
from basewarden.journal.row_names import RecordedRow

Row = Mapping[str, Any]
VALUES_SHOWN = 3
CHANGES_SHOWN = 3
LONGEST_VALUE = 48
LONGEST_LATER = 24
_NO_VALUE = object()
_MAX_DEPTH = 32
_MAX_INT_DIGITS = 4000
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[][{}]')


@dataclass(frozen=True, slots=True)
class ShownChange:
    column: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class LaterEdit:
    """What another session did to the row afterwards; `value` is what the first changed column holds since then."""

    who: str
    user_id: UUID | None
    at: datetime
    verb: str
    value: str | None
    href: str


@dataclass(frozen=True, slots=True)
class ShownMutation:
    """`cascade` names the foreign key that caused the change, unless the request itself did; `href` is the row's page.

    The label is what the row was called before the write; `key` is shown beside it, "" where it is the label.
    `changes` are the first columns of an update, `derived` the names of those that a trigger set or that are generated,
    `shown_values` the first of a row that was added or deleted.
    """

    position: int
    verb: str
    table: str
    label: str
    primary_key: Row
    before: Row | None
    after: Row | None
    state: str
    cascade: str | None
    changes: tuple[ShownChange, ...] = ()
    more_changes: int = 0
    derived: tuple[str, ...] = ()
    shown_values: tuple[tuple[str, Any], ...] = ()
    href: str | None = None
    key: str = ""
    is_undone: bool = False
    is_kept: bool = False
    kept: LaterEdit | None = None
    """The newer edit that an undo left in place, as far as it is recorded."""
    later: LaterEdit | None = None
    unnamed: RecordedRow | None = None
    """What was recorded of a row that has no name of its own."""


def show_mutation(
    mutation: JournalMutation,
    state: str,
    connection_id: UUID,
    later: LaterEdit | None = None,
    kept: LaterEdit | None = None,
) -> ShownMutation:
    before, after = read_images(mutation)
    row = before or after or {}
    changes, derived = list_changes(before, after, mutation.set_columns if mutation.cause == "request" else None)
    label, key = label_row(row, mutation.key_columns), describe_key(row, mutation.key_columns)
    unnamed = None
    if find_label(row, mutation.key_columns, is_certain=True) is None:
        values = mutation.before_exact or mutation.after_exact or {}
        unnamed = RecordedRow(mutation.schema, mutation.table, values)
    return ShownMutation(
        position=mutation.position,
        verb=mutation.verb,
        table=mutation.table,
        label=label,
        primary_key={column: (after or row).get(column) for column in mutation.key_columns},
        before=before,
        after=after,
        state=state,
        cascade=None if mutation.cause == "request" else f"by {mutation.cause}",
        changes=tuple(changes[:CHANGES_SHOWN]),
        more_changes=max(0, len(changes) - CHANGES_SHOWN),
        derived=tuple(derived),
        shown_values=tuple(_list_values(row, mutation.key_columns, label)) if before is None or after is None else (),
        href=_find_href(mutation, connection_id) if mutation.verb != "delete" and state == "committed" else None,
        key="" if key == label else key,
        unnamed=unnamed,
        kept=kept,
        later=later,
    )


def show_later(mutation: JournalMutation, later: JournalMutation, session: JournalSession) -> LaterEdit | None:
    """None where the row was changed in other columns only, which an undo leaves as they are."""
    changed: list[str] = []
    if mutation.verb == "update" and later.verb == "update":
        own = split_changed_columns(mutation.before_exact or {}, mutation.after_exact or {}, mutation.set_columns)[0]
        now = later.after_exact or {}
        changed = [column for column in own if now.get(column) != (mutation.after_exact or {}).get(column)]
        if not changed:
            return None
    value = (later.after_exact or {}).get(changed[0]) if changed else None
    return LaterEdit(
        who=session.caller_name,
        user_id=session.user_id if session.agent_id is None else None,
        at=later.at,
        verb=later.verb,
        value=make_brief("null" if value is None else value, LONGEST_LATER) if changed else None,
        href=f"/c/{mutation.connection_id}/sessions/{session.id}",
    )


def leave_out_ids(rows: Iterable[ShownMutation]) -> tuple[ShownMutation, ...]:
    """Leaves out the beginnings of ids that say nothing to people, except beside names that several rows have."""
    listed = tuple(rows)
    names = Counter(row.label for row in listed)
    return tuple(replace(row, key="") if _is_only_ids(row) and names[row.label] == 1 else row for row in listed)


def _is_only_ids(row: ShownMutation) -> bool:
    return bool(row.primary_key) and all(parse_id(str(value)) is not None for value in row.primary_key.values())


def with_name(row: ShownMutation, name: str | None) -> ShownMutation:
    """The row with the name of the one that it refers to, beside its key."""
    if name is None:
        return row
    return replace(row, label=name, key=" · ".join(_shorten_key(value) for value in row.primary_key.values()))


def label_row(row: Row, key_columns: Sequence[str]) -> str:
    """Returns what people call a row, by what was recorded of it: its name or the like, else what it refers to."""
    key = describe_key(row, key_columns)
    return find_label(row, key_columns) or describe_references(row, key_columns) or key or "row without a key"


def describe_key(row: Row, key_columns: Sequence[str]) -> str:
    return " · ".join(_shorten_key(row.get(column)) for column in key_columns)


def list_changes(
    before: Row | None, after: Row | None, set_columns: Iterable[str] | None
) -> tuple[list[ShownChange], list[str]]:
    """Lists the changes by the write, and the names of other columns that changed with them."""
    if before is None or after is None:
        return [], []
    named, derived = split_changed_columns(before, after, set_columns)
    return [ShownChange(column, before.get(column), after[column]) for column in named], derived


def split_changed_columns(
    before: Mapping[str, object], after: Mapping[str, object], set_columns: Iterable[str] | None
) -> tuple[list[str], list[str]]:
    """Returns the changed columns that a write named, and those that changed with them.

    `set_columns` are those that the write named; None = they are not known, so every changed one counts as named.
    """
    changed = [column for column, value in after.items() if before.get(column, _NO_VALUE) != value]
    named = changed if set_columns is None else set(set_columns)
    return [column for column in changed if column in named], [column for column in changed if column not in named]


def read_images(mutation: JournalMutation) -> tuple[Row | None, Row | None]:
    """Returns the row before and after. Rows with deeply nested values are returned as PostgreSQL's texts."""
    images = (mutation.before, mutation.after)
    if any(image is not None and _is_deep(image) for image in images):
        return mutation.before_exact, mutation.after_exact
    before, after = (None if image is None else _decode(image) for image in images)
    return before, after


def _decode(image: str) -> Row:
    """Decodes numbers as Decimal: a numeric with many digits must not lose any in a float, and an int has a limit."""
    row: Row = json.loads(image, parse_float=Decimal, parse_int=_read_integer)
    return row


def _read_integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _MAX_INT_DIGITS else Decimal(text)


def _is_deep(image: str) -> bool:
    """Whether values are nested so deeply that neither the decoder nor a template can follow: both are recursive."""
    if image.count("[") + image.count("{") <= _MAX_DEPTH:
        return False
    depth = deepest = 0
    for token in _BRACKETS.finditer(image):
        if token[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in "]}":
            depth -= 1
    return deepest > _MAX_DEPTH


def _shorten_key(value: Any) -> str:
    text = str(value)
    return f"{text[:8]}…" if parse_id(text) is not None else make_brief(text)


def _list_values(row: Row, key_columns: Sequence[str], label: str) -> Iterable[tuple[str, Any]]:
    """Lists the first short values that say something of a row."""
    short = (
        (column, value)
        for column, value in row.items()
        if column not in key_columns
        and value is not None
        and not isinstance(value, Mapping | list)
        and 0 < len(str(value)) <= LONGEST_VALUE
        and str(value) != label
    )
    return [pair for pair, _ in zip(short, range(VALUES_SHOWN), strict=False)]


def _find_href(mutation: JournalMutation, connection_id: UUID) -> str | None:
    key = json.loads(mutation.new_row_key or mutation.row_key)
    return row_path(connection_id, mutation.schema, mutation.table, key) if key else None
