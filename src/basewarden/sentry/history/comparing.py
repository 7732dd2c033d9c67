"""What differs between two structures. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from basewarden.sentry.history.structure import Facts, ItemKey, ItemKind, Structure

_OBJECTS: Final = frozenset({ItemKind.TABLE, ItemKind.VIEW, ItemKind.SEQUENCE, ItemKind.FUNCTION})
_DECLARED: Final = frozenset({ItemKind.COLUMN, ItemKind.CONSTRAINT})
"""What a CREATE TABLE has in it."""
_ORDER: Final = {kind: place for place, kind in enumerate(ItemKind)}


class ChangeAction(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class StructureChange:
    """`old` None: it was added; `new` None: it was removed. `parts` are an added table's columns and constraints."""

    key: ItemKey
    old: Facts | None
    new: Facts | None
    parts: Sequence[tuple[ItemKey, Facts]] = ()

    @property
    def action(self) -> ChangeAction:
        if self.old is None:
            return ChangeAction.ADDED
        return ChangeAction.REMOVED if self.new is None else ChangeAction.CHANGED

    @property
    def differing(self) -> Sequence[str]:
        """The names of the facts that differ."""
        old, new = self.old or {}, self.new or {}
        return [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]


def compare_structures(old: Structure, new: Structure) -> list[StructureChange]:
    """What was removed first, and then each after what it needs."""
    removed = [StructureChange(key, facts, None) for key, facts in old.items() if key not in new]
    others = [
        StructureChange(key, old.get(key), facts)
        for key, facts in new.items()
        if key not in old or not _is_same(old[key], facts)
    ]
    return [*_fold_removed(removed), *_fold_added(others)]


def _is_same(old: Facts, new: Facts) -> bool:
    return bool(old == new)


def _fold_removed(changes: Sequence[StructureChange]) -> list[StructureChange]:
    """Without what went with its object."""
    gone = {_find_object(change.key) for change in changes if change.key.kind in _OBJECTS}
    schemas = {change.key.schema for change in changes if change.key.kind is ItemKind.SCHEMA}
    kept = [
        change
        for change in changes
        if (change.key.kind in _OBJECTS or _find_object(change.key) not in gone)
        and (change.key.kind is not ItemKind.GRANT or change.key.schema not in schemas)
    ]
    return sorted(kept, key=lambda change: -_ORDER[change.key.kind])


def _fold_added(changes: Sequence[StructureChange]) -> list[StructureChange]:
    """With the columns and constraints of a new table in it."""
    parts: dict[ItemKey, list[tuple[ItemKey, Facts]]] = {
        change.key: [] for change in changes if change.key.kind is ItemKind.TABLE and change.old is None
    }
    kept = []
    for change in changes:
        table = ItemKey(ItemKind.TABLE, change.key.schema, change.key.name)
        if change.key.kind in _DECLARED and table in parts:
            parts[table].append((change.key, change.new or {}))
        else:
            kept.append(change)
    whole = [replace(one, parts=parts[one.key]) if one.key in parts else one for one in kept]
    return sorted(whole, key=lambda change: _ORDER[change.key.kind])


def _find_object(key: ItemKey) -> tuple[str, str, str, bool]:
    """A function's arguments tell it apart, and the parts of other objects go with them."""
    is_function = key.kind is ItemKind.FUNCTION or key.on == "routine"
    return key.schema, key.name, key.part if is_function else "", is_function


def count_actions(changes: Iterable[StructureChange]) -> dict[ChangeAction, int]:
    counts = dict.fromkeys(ChangeAction, 0)
    for change in changes:
        counts[change.action] += 1
    return counts
