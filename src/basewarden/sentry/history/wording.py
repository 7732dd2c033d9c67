"""Changes of a schema in words."""

import re
from collections.abc import Sequence
from typing import Any, Final

from basewarden.sentry.history.comparing import ChangeAction, StructureChange
from basewarden.sentry.history.naming import name_object, name_role
from basewarden.sentry.history.structure import Facts, ItemKey, ItemKind
from basewarden.sentry.words import list_names
from basewarden.web import count_things

_LONGEST: Final = 80
"""Of a value in a sentence; the SQL has all of it."""
_PARTS: Final = frozenset({ItemKind.COLUMN, ItemKind.CONSTRAINT, ItemKind.INDEX, ItemKind.TRIGGER, ItemKind.POLICY})
_SWITCHES: Final = {
    "has_rls": ("row level security is on", "row level security is off"),
    "forces_rls": ("row level security holds for its owner, too", "row level security no longer holds for its owner"),
    "is_required": ("null is no longer allowed", "null is allowed"),
    "is_definer": ("it runs with its owner's rights", "it runs with its caller's rights"),
    "is_permissive": ("it is permissive", "it is restrictive"),
    "enabled": ("it is enabled", "it is disabled"),
}
_TEXTS: Final = {
    "body": "its body changed",
    "definition": "its definition changed",
    "using": "which rows it lets see changed",
    "check": "which rows it lets write changed",
    "partition_of": "which part it is changed",
    "arguments": "its arguments changed",
}
_LABELS: Final = {"parameters": "the parameters", "form": "its kind", "comment": "its comment"}
_WORD: Final = re.compile(r"\w{1,63}\Z")
_NAMED_LIKE: Final = {"routine": "function", "column": "table"}
"""Kinds of objects of which rights are called like those of another kind."""
_HAPPENED: Final = {
    ChangeAction.ADDED: "was added",
    ChangeAction.REMOVED: "was removed",
    ChangeAction.CHANGED: "changed",
}
_LISTS: Final = {"labels": "label", "options": "option", "roles": "role"}


def describe_change(change: StructureChange) -> str:
    """A sentence."""
    key = change.key
    if key.kind in (ItemKind.GRANT, ItemKind.DEFAULT_GRANT):
        return _describe_grant(change)
    what = _name_item(key, change.new or change.old or {})
    match change.action:
        case ChangeAction.ADDED:
            return f"{what} was added{_describe_new(change)}."
        case ChangeAction.REMOVED:
            return f"{what} was removed."
    return f"{what}: {'; '.join(_describe_fact(name, change) for name in change.differing)}."


def describe_briefly(change: StructureChange) -> str:
    """Part of a sentence for messages, which leave the deployment: without values, and without odd names."""
    key = change.key
    if key.kind is ItemKind.DEFAULT_GRANT:
        return "default privileges changed"
    if key.kind is ItemKind.GRANT:
        return f"rights on {_name_briefly(_NAMED_LIKE.get(key.on, key.on), key.name or key.schema)} changed"
    kind = key.kind.value
    if key.kind in _PARTS:
        what = f"{_name_briefly(kind, key.part)} of {key.name if _WORD.match(key.name) else 'a table'}"
    else:
        what = _name_briefly(kind, key.name or key.schema)
    return f"{what} {_HAPPENED[change.action]}"


def _name_briefly(kind: str, name: str) -> str:
    if _WORD.match(name):
        return f"{kind} {name}"
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def _name_item(key: ItemKey, facts: Facts) -> str:
    if key.kind in _PARTS:
        return f"{key.kind.capitalize()} {key.part} of {name_object(key)}"
    kind = facts.get("form") or key.kind.value
    word = f"{kind} type" if key.kind is ItemKind.TYPE and kind != "domain" else kind
    return f"{word.capitalize()} {key.name if key.kind is ItemKind.EXTENSION else name_object(key)}"


def _describe_new(change: StructureChange) -> str:
    """What of a new item a reader asks first."""
    facts = change.new or {}
    match change.key.kind:
        case ItemKind.TABLE:
            columns = sum(key.kind is ItemKind.COLUMN for key, _ in change.parts)
            rls = "on" if facts.get("has_rls") else "off"
            return f" with {count_things(columns, 'column')}, row level security {rls}"
        case ItemKind.COLUMN:
            return f": {facts['type']}{', null not allowed' if facts.get('is_required') else ''}"
        case ItemKind.POLICY:
            return f" for {facts['command']}, to {list_names(_name_roles(facts))}"
        case ItemKind.FUNCTION if facts.get("is_definer"):
            return ", which runs with its owner's rights"
    return ""


def _describe_fact(name: str, change: StructureChange) -> str:
    old, new = (change.old or {}).get(name), (change.new or {}).get(name)
    if name in _SWITCHES:
        return _SWITCHES[name][0 if new else 1]
    if name in _TEXTS:
        return _TEXTS[name]
    if name in _LISTS:
        return _describe_list(_LISTS[name], _read_names(old), _read_names(new))
    label = _LABELS.get(name, f"the {name.replace('_', ' ')}")
    if old is None:
        return f"{label} is now {_shorten(new)}"
    return (
        f"{label} {_shorten(old)} was removed"
        if new is None
        else f"{label} changed from {_shorten(old)} to {_shorten(new)}"
    )


def _describe_list(label: str, old: Sequence[str], new: Sequence[str]) -> str:
    added, gone = [one for one in new if one not in old], [one for one in old if one not in new]
    parts = [f"added the {_name_several(label, added)}"] if added else []
    parts += [f"removed the {_name_several(label, gone)}"] if gone else []
    return " and ".join(parts) or f"the {label}s are in another order"


def _name_several(label: str, names: Sequence[str]) -> str:
    return f"{label if len(names) == 1 else f'{label}s'} {_shorten(list_names(names))}"


def _read_names(value: Any) -> list[str]:
    return [name_role(one or "") for one in value or ()]


def _name_roles(facts: Facts) -> list[str]:
    return _read_names(facts.get("roles"))


def _describe_grant(change: StructureChange) -> str:
    key = change.key
    role, where = name_role(key.role), _name_granted(key)
    old, new = (set((facts or {}).get("rights", ())) for facts in (change.old, change.new))
    parts = [f"may now {_list_rights(new - old)}"] if new - old else []
    parts += [f"may no longer {_list_rights(old - new)}"] if old - new else []
    if not parts:
        given = set((change.new or {}).get("grantable", ())) - set((change.old or {}).get("grantable", ()))
        parts = ["may now grant its rights to others" if given else "may no longer grant its rights to others"]
    return f"{role} {' and '.join(parts)} {where}."


def _list_rights(rights: set[str]) -> str:
    return list_names(sorted(rights))


def _name_granted(key: ItemKey) -> str:
    if key.kind is ItemKind.DEFAULT_GRANT:
        where = f" in {key.schema}" if key.schema else ""
        return f"on {key.part} that {key.name} will create{where}"
    if key.on == "column":
        return f"on column {key.part} of {name_object(key)}"
    return f"on {'function' if key.on == 'routine' else key.on} {name_object(key)}"


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
