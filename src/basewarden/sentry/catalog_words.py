"""What the catalog says of a finding's object, in words."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

_VERBS: Final = {"select": "read", "insert": "add", "update": "change", "delete": "delete"}
_LABELS: Final = {
    "columns": "Columns",
    "definitions": "Definition",
    "direct": "Members",
    "functions": "Functions",
    "grants": "Default privileges",
    "left_out": "Too long to be kept",
    "paths": "Shows rows of",
    "privileges": "Privileges",
    "rights": "May be used by",
    "roles": "Reached by",
    "whole": "On all columns",
}
_TRUE: Final = {
    "checks_caller": "Its body asks who the caller is.",
    "has_attributes": "It has attributes that pass row level security.",
    "has_insert_trigger": "A trigger runs before each new row.",
    "has_rls": "Row level security is on.",
    "has_update_trigger": "A trigger runs before each changed row.",
    "inherits": "Its privileges are inherited.",
    "is_definer": "It runs with its owner's rights.",
    "is_dynamic": "It makes up SQL while it runs.",
    "is_exposed": "It is in an exposed schema.",
    "is_only_asked": "Only policies use it, and it answers yes or no.",
    "is_partitioned": "It is a partitioned table.",
    "is_predefined": "It is one of PostgreSQL's predefined roles.",
    "is_stored": "Its rows are stored.",
    "is_superuser": "It is a superuser.",
    "is_trigger": "It is a trigger's function.",
    "is_used_by_policies": "Policies call it.",
    "is_written": "Rows can be changed through it.",
    "may_drop": "No constraint needs it.",
    "owns_tables": "It owns tables.",
    "writes": "It changes data.",
}
_FALSE: Final = {
    "checks_caller": "Its body does not ask who the caller is.",
    "has_rls": "Row level security is off.",
}


def list_facts(catalog: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    """As name and lines; what is so or not so is said in sentences, and left out where it does not matter."""
    sentences = [_describe(name, is_so=value) for name, value in catalog.items() if isinstance(value, bool)]
    said = [one for one in sentences if one]
    named = [
        (_LABELS.get(name) or _name_fact(name), _list_lines(value))
        for name, value in catalog.items()
        if not isinstance(value, bool) and value not in (None, [], {}, "") and not _is_repeated(name, catalog)
    ]
    return [*([("Known of it", said)] if said else []), *named]


def _describe(name: str, *, is_so: bool) -> str:
    if is_so:
        return _TRUE.get(name) or f"{_name_fact(name)}."
    return _FALSE.get(name, "")


def _is_repeated(name: str, catalog: Mapping[str, Any]) -> bool:
    """Policies are shown as SQL, and rights on whole tables matter only where some are on single columns."""
    value = catalog[name]
    if name == "policies":
        return any(isinstance(one, dict) for one in value)
    if name == "whole":
        rights = catalog.get("rights", {})
        return all(set(rights.get(role, ())) <= {*verbs, "delete"} for role, verbs in value.items())
    return name == "roles" and "rights" in catalog


def _name_fact(name: str) -> str:
    words = name.removeprefix("is_").removeprefix("has_").replace("_", " ")
    return words[:1].upper() + words[1:]


def _list_lines(value: Any) -> list[str]:
    """A line for each thing of which the catalog says several."""
    if isinstance(value, dict):
        return [f"{name}: {_show_fact(one)}" for name, one in value.items()]
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return [_show_thing(one) if isinstance(one, dict) else _show_fact(one) for one in value]
    return [_show_fact(value)]


def _show_thing(thing: Mapping[str, Any]) -> str:
    """What it is called, and what is true of it."""
    if "through" in thing:
        return f"{thing['table']}, through {thing['through']}"
    if "is_user" in thing:
        return f"{thing['name']}, a person's id in auth.users" if thing["is_user"] else str(thing["name"])
    said = [
        _name_fact(name).lower() if one is True else f"{_name_fact(name).lower()} {_show_fact(one)}"
        for name, one in thing.items()
        if name != "name" and one not in (None, False, [], "")
    ]
    return ", ".join([str(thing["name"])] * bool(thing.get("name")) + said)


def _show_fact(value: Any) -> str:
    match value:
        case None | [] | "":
            return "none"
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(one, str | int | float) for one in value):
            return ", ".join(_VERBS.get(str(one), str(one)) for one in value)
        case str() | int() | float():
            return str(value)
    return json.dumps(value, ensure_ascii=False)
