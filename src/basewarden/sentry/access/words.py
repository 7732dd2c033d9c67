"""Two states of an object, and what is different, in words."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from basewarden.sentry.access.state import AccessKind, AccessState, Acl, PolicyState
from basewarden.sentry.words import list_names


def describe_difference(before: AccessState, after: AccessState | None) -> list[str]:
    """Sentences: what of `before` is not so in `after`, and what is there besides."""
    if after is None:
        return ["It is no longer there."]
    if before.oid != after.oid and before.kind is not AccessKind.BUCKET:
        return ["It was dropped and made again."]
    return list(_list_differences(before, after))


def _list_differences(before: AccessState, after: AccessState) -> Iterator[str]:
    if before.owner != after.owner:
        yield f"Its owner was {before.owner} and is {after.owner}."
    yield from _compare_acls(before.acl, after.acl, "")
    for column in dict.fromkeys([*before.columns, *after.columns]):
        yield from _compare_acls(
            before.columns.get(column, ()), after.columns.get(column, ()), f" on the column {column}"
        )
    yield from _compare_switch("Row level security", was=before.has_rls, is_now=after.has_rls)
    yield from _compare_switch("FORCE ROW LEVEL SECURITY", was=before.forces_rls, is_now=after.forces_rls)
    yield from _compare_policies(before.policies, after.policies)
    if sorted(before.options) != sorted(after.options):
        yield f"Its options were {_list_or_none(before.options)} and are {_list_or_none(after.options)}."
    if before.replica_identity != after.replica_identity:
        yield "Its REPLICA IDENTITY is another one."
    if before.is_public != after.is_public:
        yield "It was not public and is." if after.is_public else "It was public and is not."


def _compare_acls(before: Acl, after: Acl, where: str) -> Iterator[str]:
    had, has = _spread(before), _spread(after)
    for key, rights in had.items():
        if gone := sorted(rights - has.get(key, set())):
            yield f"{_name(key[0])} had {list_names(gone)}{where}, granted by {key[1]}."
    for key, rights in has.items():
        if new := sorted(rights - had.get(key, set())):
            yield f"{_name(key[0])} has {list_names(new)}{where} now, granted by {key[1]}."


def _spread(acl: Acl) -> Mapping[tuple[str | None, str], set[str]]:
    return {
        (one.grantee, one.grantor): {*one.rights, *(f"{right} with grant option" for right in one.grantable)}
        for one in acl
    }


def _compare_switch(name: str, *, was: bool, is_now: bool) -> Iterator[str]:
    if was != is_now:
        yield f"{name} was {_on(was)} and is {_on(is_now)}."


def _compare_policies(before: Sequence[PolicyState], after: Sequence[PolicyState]) -> Iterator[str]:
    had, has = {one.name: one for one in before}, {one.name: one for one in after}
    for name in sorted(had.keys() | has.keys()):
        if name not in has:
            yield f"The policy {name} is gone."
        elif name not in had:
            yield f"The policy {name} is new."
        elif had[name] != has[name]:
            yield f"The policy {name} is another one."


def _name(role: str | None) -> str:
    return "PUBLIC" if role is None else role


def _on(value: Any) -> str:
    return "on" if value else "off"


def _list_or_none(options: Sequence[str]) -> str:
    return ", ".join(options) or "none"
