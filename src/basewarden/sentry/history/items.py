"""Makes the items of a structure of what the catalog answered. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from basewarden.sentry.access.state import RELATIONS, AccessKey, AccessKind, AccessState, Acl
from basewarden.sentry.history.hiding import hide_arguments, hide_secrets, hide_settings
from basewarden.sentry.history.structure import Facts, ItemKey, ItemKind, Structure

_VIEWS: Final = frozenset({AccessKind.VIEW, AccessKind.MATERIALIZED_VIEW})
_Item = tuple[ItemKey, Facts]


class CatalogObject(msgspec.Struct, frozen=True):
    """One object with its parts, as the catalog's text has them. `what` is a word of AccessKind, or another one."""

    what: str
    schema: str
    name: str
    facts: dict[str, Any]
    arguments: str | None = None
    columns: tuple[tuple[str, dict[str, Any]], ...] | None = None
    constraints: tuple[tuple[str, str], ...] | None = None
    indexes: tuple[tuple[str, str], ...] | None = None
    triggers: tuple[tuple[str, dict[str, Any]], ...] | None = None


def list_items(objects: Iterable[CatalogObject], states: Iterable[AccessState]) -> Structure:
    """Of `states`, those of these objects, and default privileges."""
    by_key = {state.key: state for state in states}
    items: list[_Item] = []
    for one in objects:
        items += _list_object(one, by_key)
    defaults = (state for state in by_key.values() if state.kind is AccessKind.DEFAULTS)
    items += (item for state in defaults for item in _list_defaults(state))
    return {key: hide_secrets(facts) for key, facts in items}


def _list_object(found: CatalogObject, states: Mapping[AccessKey, AccessState]) -> Iterator[_Item]:
    match found.what:
        case "schema":
            state = states.get(AccessKey(AccessKind.SCHEMA, "", found.schema))
            yield ItemKey(ItemKind.SCHEMA, found.schema, ""), _join(found, state)
            yield from _list_grants(state, found.schema, "")
        case "extension" | "type":
            yield ItemKey(ItemKind(found.what), found.schema, found.name), found.facts
        case "function":
            arguments = found.arguments or ""
            state = states.get(AccessKey(AccessKind.FUNCTION, found.schema, found.name, arguments))
            yield ItemKey(ItemKind.FUNCTION, found.schema, found.name, arguments), _join(found, state)
            yield from _list_grants(state, found.schema, found.name, arguments)
        case _:
            yield from _list_relation(found, states.get(AccessKey(AccessKind(found.what), found.schema, found.name)))


def _list_relation(found: CatalogObject, state: AccessState | None) -> Iterator[_Item]:
    what = AccessKind(found.what)
    kind = ItemKind.VIEW if what in _VIEWS else ItemKind.SEQUENCE if what is AccessKind.SEQUENCE else ItemKind.TABLE

    def key(part_kind: ItemKind, part: str) -> ItemKey:
        return ItemKey(part_kind, found.schema, found.name, part)

    yield ItemKey(kind, found.schema, found.name), {**_join(found, state), "form": found.what}
    if kind is ItemKind.TABLE:
        yield from ((key(ItemKind.COLUMN, name), _drop_missing(facts)) for name, facts in found.columns or ())
    for part_kind, texts in ((ItemKind.CONSTRAINT, found.constraints), (ItemKind.INDEX, found.indexes)):
        yield from ((key(part_kind, name), {"definition": text}) for name, text in texts or ())
    yield from ((key(ItemKind.TRIGGER, name), hide_arguments(facts)) for name, facts in found.triggers or ())
    for policy in state.policies if state else ():
        facts = {**_drop_missing(msgspec.to_builtins(policy)), "roles": list(policy.roles)}
        yield key(ItemKind.POLICY, facts.pop("name")), facts
    yield from _list_grants(state, found.schema, found.name)
    for column, acl in state.columns.items() if state else ():
        for role, rights in _list_rights(acl, state.owner if state else ""):
            yield ItemKey(ItemKind.GRANT, found.schema, found.name, column, "column", role), rights


def _join(found: CatalogObject, state: AccessState | None) -> dict[str, Any]:
    """With what is known of who may reach it."""
    facts = _drop_missing(found.facts)
    if state is None:
        return facts
    options = list(state.options)
    facts |= {"owner": state.owner, "options": hide_settings(options) if found.what == "function" else options}
    if state.kind in RELATIONS - _VIEWS:
        facts |= {"has_rls": state.has_rls, "forces_rls": state.forces_rls}
    return facts


def _drop_missing(facts: Facts) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _list_grants(state: AccessState | None, schema: str, name: str, part: str = "") -> Iterator[_Item]:
    if state is not None:
        for role, rights in _list_rights(state.acl, state.owner):
            yield ItemKey(ItemKind.GRANT, schema, name, part, state.kind, role), rights


def _list_defaults(state: AccessState) -> Iterator[_Item]:
    for role, rights in _list_rights(state.acl, state.owner):
        yield ItemKey(ItemKind.DEFAULT_GRANT, state.schema, state.name, state.arguments or "", "", role), rights


def _list_rights(acl: Acl, owner: str) -> Iterator[tuple[str, Facts]]:
    """By role, from whomever it has them. The owner has its own by itself."""
    rights: dict[str, set[str]] = {}
    grantable: dict[str, set[str]] = {}
    for entry in acl:
        role = entry.grantee or ""
        rights.setdefault(role, set()).update(entry.rights)
        grantable.setdefault(role, set()).update(entry.grantable)
    for role, held in rights.items():
        if role != owner:
            yield role, {"rights": sorted(held), "grantable": sorted(grantable[role])}
