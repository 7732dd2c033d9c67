"""Which entries of an ACL are to be revoked and granted so that it becomes another. Pure.

An entry is what one role has from another, and needs that the other may grant it: the owner always may.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from basewarden.sentry.access.state import Acl, AclEntry

_OF_COLUMNS = frozenset({"SELECT", "INSERT", "UPDATE", "REFERENCES"})


class AclPlan(NamedTuple):
    """First `revoked`, dependents before what they depend on; then `granted`, in this order."""

    revoked: Sequence[AclEntry]
    granted: Sequence[AclEntry]


def plan_exact(owner: str, current: Acl, target: Acl) -> AclPlan:
    """Also the order of entries: new ones come last, so whatever follows the first difference is granted again."""
    same = 0
    while same < min(len(current), len(target)) and current[same] == target[same]:
        same += 1
    while list_unfounded(owner, current[:same]):
        same -= 1
    return _plan(owner, current, target, current[:same])


def plan_least(owner: str, current: Acl, target: Acl) -> AclPlan:
    """Touches nothing but what differs, and what depends on that."""
    kept = [entry for entry in current if entry in target]
    while unfounded := {(one.grantee, one.grantor) for one in list_unfounded(owner, kept)}:
        kept = [entry for entry in kept if (entry.grantee, entry.grantor) not in unfounded]
    return _plan(owner, current, target, kept)


def take_away(owner: str, acl: Acl, grantees: Collection[str | None], of_table: Acl = ()) -> Acl:
    """Without what these roles have, and without what others have through them.

    Of a column, `of_table` is what is left of the table's entries: who may grant a right there may do so here.
    """
    kept = [entry for entry in acl if entry.grantee not in grantees]
    while unfounded := list_unfounded(owner, kept, of_table):
        kept = [one for entry in kept for one in _limit(entry, unfounded)]
    return tuple(kept)


def take_with_table(columns: Acl, revoked: Iterable[AclEntry]) -> Acl:
    """What a REVOKE on the table leaves of a column's entries: it takes the same rights from these, too."""
    left = {(entry.grantee, entry.grantor): set(entry.rights) & _OF_COLUMNS for entry in revoked}
    return tuple(
        msgspec.structs.replace(
            entry, rights=tuple(rights), grantable=tuple(one for one in entry.grantable if one in rights)
        )
        for entry in columns
        if (rights := [one for one in entry.rights if one not in left.get((entry.grantee, entry.grantor), ())])
    )


def list_unfounded(owner: str, entries: Sequence[AclEntry], of_table: Acl = ()) -> list[AclEntry]:
    """The rights that their grantor may not grant, as entries."""
    may = _list_grantors(owner, [*entries, *of_table])
    found = []
    for entry in entries:
        missing = tuple(one for one in entry.rights if entry.grantor != owner and (entry.grantor, one) not in may)
        if missing:
            found.append(AclEntry(entry.grantee, entry.grantor, missing))
    return found


def _list_grantors(owner: str, entries: Sequence[AclEntry]) -> set[tuple[str, str]]:
    """Who may grant which right, from the owner on: two that have it from each other do not."""
    may: set[tuple[str, str]] = set()
    size = -1
    while size != len(may):
        size = len(may)
        for entry in entries:
            if entry.grantee is not None:
                grantee, grantor = entry.grantee, entry.grantor
                may |= {(grantee, one) for one in entry.grantable if grantor == owner or (grantor, one) in may}
    return may


def _limit(entry: AclEntry, unfounded: Iterable[AclEntry]) -> list[AclEntry]:
    gone = {
        right
        for one in unfounded
        if (one.grantee, one.grantor) == (entry.grantee, entry.grantor)
        for right in one.rights
    }
    rights = tuple(one for one in entry.rights if one not in gone)
    grantable = tuple(one for one in entry.grantable if one not in gone)
    return [msgspec.structs.replace(entry, rights=rights, grantable=grantable)] if rights else []


def _plan(owner: str, current: Acl, target: Acl, kept: Sequence[AclEntry]) -> AclPlan:
    gone = [entry for entry in current if entry not in kept]
    return AclPlan(_sort_for_revoking(owner, current, gone), _sort_for_granting(owner, target, kept))


def _sort_for_revoking(owner: str, current: Acl, gone: Sequence[AclEntry]) -> Sequence[AclEntry]:
    """The furthest from the owner first."""
    depths = {owner: 0}
    for _ in current:
        for entry in current:
            if entry.grantor in depths and entry.grantee is not None and entry.grantable:
                depths.setdefault(entry.grantee, depths[entry.grantor] + 1)
    return sorted(gone, key=lambda entry: -depths.get(entry.grantor, len(current)))


def _sort_for_granting(owner: str, target: Acl, kept: Sequence[AclEntry]) -> Sequence[AclEntry]:
    """In their order, as far as each grantor may grant by then."""
    done, waiting = list(kept), [entry for entry in target if entry not in kept]
    granted: list[AclEntry] = []
    while waiting:
        entry = next((one for one in waiting if not _is_unfounded(owner, one, done)), waiting[0])
        waiting.remove(entry)
        done.append(entry)
        granted.append(entry)
    return granted


def _is_unfounded(owner: str, entry: AclEntry, done: Sequence[AclEntry]) -> bool:
    may = _list_grantors(owner, done)
    return any(entry.grantor != owner and (entry.grantor, one) not in may for one in entry.rights)
