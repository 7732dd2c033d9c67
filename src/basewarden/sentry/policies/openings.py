"""Which policies let all rows through, and which rule says it: one policy is one finding. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from basewarden.sentry.policies.facts import PolicyRecord, TablePolicies, find_caller, read_policies
from basewarden.sentry.policies.shape import PolicyAccess, PolicyShape
from basewarden.sentry.policies.truth import PolicyCaller
from basewarden.sentry.rule import Hit
from basewarden.sentry.words import list_names

_SIGNED_IN: Final = "authenticated"
_VERBS: Final = {"select": "read", "insert": "add", "update": "change", "delete": "delete"}
_ROWS_THAT_EXIST: Final = frozenset({"select", "update", "delete"})


class Opening(NamedTuple):
    """A permissive policy that lets `role` use all rows with `command`."""

    policy: PolicyRecord
    role: str
    command: str
    shape: PolicyShape


class OpeningKind(StrEnum):
    """The ids of the rules that say it."""

    WRITE = "policy_always_true_write"
    READ = "policy_always_true_read"
    JOINED = "policies_joined_by_or"
    SIGNED_IN = "policy_signed_in_is_not_owner"
    TENANTS = "policy_reads_all_tenants"
    CHANGE_HANDS = "update_check_lets_rows_change_hands"
    INSERT = "insert_owner_set_by_caller"


def find_openings(hit: Hit, kind: OpeningKind) -> tuple[TablePolicies, Sequence[Opening]]:
    facts = read_policies(hit)
    return facts, sort_openings(facts).get(kind, ())


def sort_openings(facts: TablePolicies) -> Mapping[OpeningKind, Sequence[Opening]]:
    found: dict[OpeningKind, list[Opening]] = defaultdict(list)
    by_policy: dict[str, list[Opening]] = defaultdict(list)
    for opening in _list_openings(facts):
        by_policy[opening.policy.name].append(opening)
    for openings in by_policy.values():
        kind = _choose_kind(facts, openings)
        if kind is not None:
            found[kind] += openings
    for opening in _list_changes_of_hands(facts):
        if opening.policy.name not in {
            one.policy.name for kind in found for one in found[kind] if kind is not OpeningKind.INSERT
        }:
            found[OpeningKind.CHANGE_HANDS].append(opening)
    changed = {one.policy.name for one in found[OpeningKind.CHANGE_HANDS]}
    reported = {one.policy.name for openings in found.values() for one in openings}
    found[OpeningKind.INSERT] += [one for one in _list_open_inserts(facts) if one.policy.name not in reported]
    found[OpeningKind.INSERT] = [one for one in found[OpeningKind.INSERT] if one.policy.name not in changed]
    return found


def _list_openings(facts: TablePolicies) -> Iterator[Opening]:
    for role, commands in facts.rights.items():
        for command in commands:
            if _is_narrowed(facts, role, command):
                continue
            for policy in facts.policies:
                if policy.is_permissive and policy.applies(role, command):
                    shape = facts.assess(policy, command)
                    if _is_open(shape, role, command):
                        yield Opening(policy, role, command, shape)


def _is_open(shape: PolicyShape, role: str, command: str) -> bool:
    """To change some rows without being asked who one is, is as bad."""
    access = shape.access[find_caller(role)]
    is_unasked = role != _SIGNED_IN and command in {"update", "delete"} and not shape.asks_who
    return access is PolicyAccess.ALL_ROWS or (access is PolicyAccess.SOME_ROWS and is_unasked)


def _is_narrowed(facts: TablePolicies, role: str, command: str) -> bool:
    """By a restrictive policy, all of which must agree."""
    return any(
        facts.assess(policy, command).access[find_caller(role)] is not PolicyAccess.ALL_ROWS
        for policy in facts.policies
        if not policy.is_permissive and policy.applies(role, command)
    )


def _choose_kind(facts: TablePolicies, openings: Sequence[Opening]) -> OpeningKind | None:
    """Of one policy."""
    if any(_widens(facts, opening) for opening in openings):
        return OpeningKind.JOINED
    commands = {opening.command for opening in openings}
    is_anyones = any(opening.role != _SIGNED_IN for opening in openings)
    if not is_anyones and openings[0].shape.lets_all_signed_in:
        if commands & _ROWS_THAT_EXIST:
            return OpeningKind.SIGNED_IN
        return OpeningKind.INSERT if _list_settable(facts, openings) else None
    if commands & {"update", "delete"}:
        return OpeningKind.WRITE
    if "insert" in commands:
        is_owned = not is_anyones and bool(_list_settable(facts, openings))
        return OpeningKind.INSERT if is_owned else OpeningKind.WRITE
    return OpeningKind.TENANTS if not is_anyones and facts.owner_columns else OpeningKind.READ


def _widens(facts: TablePolicies, opening: Opening) -> bool:
    """Whether another policy of the same command asks whose row it is, and in vain.

    "Everyone reads, the owner does everything" is on purpose.
    """
    policy, role, command, _ = opening
    if command not in _ROWS_THAT_EXIST:
        return False
    for other in facts.policies:
        if other.is_permissive and other.name != policy.name and other.applies(role, command):
            shape = facts.assess(other, command)
            is_strict = shape.compared and shape.access[find_caller(role)] in (
                PolicyAccess.NO_ROWS,
                PolicyAccess.SOME_ROWS,
            )
            if is_strict and not (policy.command == "select" and other.command == "all"):
                return True
    return False


def _list_changes_of_hands(facts: TablePolicies) -> Iterator[Opening]:
    """The check is on the row as it would be: where it does not ask for the owner's column, that may be changed."""
    for role, commands in facts.rights.items():
        settable = {one.name for one in facts.owner_columns if facts.may_use(role, one, "update")}
        if "update" not in commands or not settable or _has_restrictive(facts, role, "update"):
            continue
        for policy in facts.policies:
            if policy.is_permissive and policy.applies(role, "update"):
                shape = _find_free_check(facts, policy, settable)
                if shape is not None:
                    yield Opening(policy, role, "update", shape)


def _find_free_check(facts: TablePolicies, policy: PolicyRecord, settable: set[str]) -> PolicyShape | None:
    using = facts.assess(policy, "update")
    if using.access[PolicyCaller.STRANGER] is not PolicyAccess.NO_ROWS or not using.compared:
        return None
    if policy.check is None:
        is_free = PolicyAccess.UNKNOWN not in using.access.values() and not using.compared & settable
        return using if is_free else None
    check = facts.assess(policy, "insert")
    is_open = check.access[PolicyCaller.STRANGER] is PolicyAccess.ALL_ROWS
    return check if is_open else None


def _has_restrictive(facts: TablePolicies, role: str, command: str) -> bool:
    return any(not policy.is_permissive and policy.applies(role, command) for policy in facts.policies)


def _list_open_inserts(facts: TablePolicies) -> Iterator[Opening]:
    """Of users, whose check asks for something else than whose the row is."""
    if _SIGNED_IN not in facts.rights or "insert" not in facts.rights[_SIGNED_IN]:
        return
    if _has_restrictive(facts, _SIGNED_IN, "insert"):
        return
    for policy in facts.policies:
        if policy.is_permissive and policy.applies(_SIGNED_IN, "insert"):
            shape = facts.assess(policy, "insert")
            opening = Opening(policy, _SIGNED_IN, "insert", shape)
            is_open = shape.access[PolicyCaller.STRANGER] in (PolicyAccess.SOME_ROWS, PolicyAccess.ALL_ROWS)
            if is_open and not shape.compared and _list_settable(facts, [opening]):
                yield opening


def _list_settable(facts: TablePolicies, openings: Sequence[Opening]) -> list[str]:
    """Columns that say whose a row is and that those who add one may fill in."""
    roles = {opening.role for opening in openings}
    return [one.name for one in facts.owner_columns if any(facts.may_use(role, one, "insert") for role in roles)]


def list_half_open(facts: TablePolicies) -> list[str]:
    """Roles that read some rows, but not all, which are not their own."""
    return sorted(role for role in facts.rights if _is_half_open(facts, role))


def _is_half_open(facts: TablePolicies, role: str) -> bool:
    applied = [policy for policy in facts.policies if policy.applies(role, "select")]
    found = [(policy.is_permissive, facts.assess(policy, "select").access[find_caller(role)]) for policy in applied]
    if "select" not in facts.rights[role] or any(
        access is PolicyAccess.NO_ROWS for agrees, access in found if not agrees
    ):
        return False
    permissive = {access for agrees, access in found if agrees}
    return PolicyAccess.SOME_ROWS in permissive and PolicyAccess.ALL_ROWS not in permissive


def name_callers(openings: Sequence[Opening]) -> str:
    is_anyones = any(opening.role != _SIGNED_IN for opening in openings)
    return "anyone with the public key" if is_anyones else "everyone who signs up"


def name_verbs(openings: Sequence[Opening]) -> str:
    return list_names(verb for command, verb in _VERBS.items() if any(one.command == command for one in openings))


def name_policies(openings: Sequence[Opening]) -> str:
    names = sorted({opening.policy.name for opening in openings})
    return f"{'The policy' if len(names) == 1 else 'The policies'} {list_names(f'“{name}”' for name in names)}"


def list_roles(openings: Sequence[Opening]) -> list[str]:
    return sorted({opening.role for opening in openings})


def name_expressions(policy: PolicyRecord) -> Sequence[str]:
    """Commands whose expressions are all that the policy has."""
    return {"insert": ("insert",), "all": ("select", "insert"), "update": ("update", "insert")}.get(
        policy.command, (policy.command,)
    )
