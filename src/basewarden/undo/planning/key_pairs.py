"""Describes the changes of an upsert by the keys that its rows named. Pure.

An upsert that merges on another unique key can move a row away from its primary key and put another row there, in one
statement. Rows that refer to the key never noticed. An undo that moved the rows back would have to remove the new row
first, which those references forbid; described by key, the row is changed in place.
"""

from collections.abc import Sequence
from dataclasses import replace

from basewarden.journal import Image, RowChange

_Location = tuple[str, str, tuple[str, ...]]


def pair_by_key(changes: Sequence[RowChange]) -> Sequence[RowChange]:
    """Where one change leaves a key and another arrives there, exchanges where the two rows went.

    `changes` are those of one upsert. The rows before and after it are the same in both descriptions.
    """
    arrivals = {
        place: number
        for number, change in enumerate(changes)
        if (place := _locate(change, change.after)) is not None and place != _locate(change, change.before)
    }
    paired = list(changes)
    for number in range(len(paired)):
        left = paired[number]
        place = _locate(left, left.before)
        if place is None or left.after is None or place == _locate(left, left.after):
            continue
        other = arrivals.pop(place, None)
        if other is not None:
            arrived = paired[other]
            paired[number], paired[other] = _change(left, arrived.after), _change(arrived, left.after)
            arrivals[_locate(left, left.after) or place] = other
    return paired


def _locate(change: RowChange, image: Image | None) -> _Location | None:
    return None if image is None else (change.schema, change.table, image.key(change.key_columns))


def _change(change: RowChange, after: Image | None) -> RowChange:
    """The columns that the request named are not known of the pair, so all of them count as named."""
    return replace(change, verb="insert" if change.before is None else "update", after=after, set_columns=None)
