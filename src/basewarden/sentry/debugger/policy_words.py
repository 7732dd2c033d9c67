"""Policies in words: to whom each applies, and which rows it allows, as far as its expression says so."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from basewarden.sentry.debugger.facts import DebuggedPolicy, DebuggedTable
from basewarden.sentry.policies.shape import UNKNOWN_SHAPE, PolicyAccess, PolicyShape
from basewarden.sentry.policies.truth import PolicyCaller
from basewarden.sentry.words import list_names

_COMMANDS: Final = {
    "select": "to read rows",
    "insert": "to add rows",
    "update": "to change rows",
    "delete": "to delete rows",
    "all": "to read, add, change and delete rows",
}
_SECONDS: Final = 2.0
_ANYONE: Final = "public"
_SIGNED_OUT, _SIGNED_IN = "Signed out", "Signed in"
_WITHOUT_USERS: Final = "Every caller"


@dataclass(frozen=True, slots=True)
class PolicySentence:
    """`who` begins it, `what` says which rows."""

    who: str
    what: str


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """One of a policy's two expressions: `title` says what it decides."""

    title: str
    keyword: str
    sql: str
    sentences: Sequence[PolicySentence]
    note: str = ""


@dataclass(frozen=True, slots=True)
class DescribedPolicy:
    name: str
    summary: str
    is_permissive: bool
    parts: Sequence[PolicyPart]


def describe_policies(table: DebuggedTable) -> Sequence[DescribedPolicy]:
    """For a thread: a hostile policy takes half a second, and a table has any number of them.

    What there is no time for is as unknown as what cannot be followed.
    """
    until = time.monotonic() + _SECONDS
    return [_describe(table, one, until) for one in table.policies]


def _describe(table: DebuggedTable, policy: DebuggedPolicy, until: float) -> DescribedPolicy:
    roles = "everyone" if _ANYONE in policy.roles else list_names(sorted(policy.roles))
    command = _COMMANDS[policy.command]
    summary = f"Allows {roles} {command}." if policy.is_permissive else f"Must also agree when {roles} wants {command}."
    return DescribedPolicy(policy.name, summary, policy.is_permissive, tuple(_list_parts(table, policy, until)))


def _list_parts(table: DebuggedTable, policy: DebuggedPolicy, until: float) -> Iterator[PolicyPart]:
    if policy.command != "insert":
        text = policy.using if policy.using is not None else ("false" if policy.is_permissive else "true")
        yield _describe_part(table, policy, "Rows that are there", "USING", text, until)
    if policy.command not in ("select", "delete"):
        check = policy.new_row_check
        yield _describe_part(
            table,
            policy,
            "Rows as they would be",
            "WITH CHECK" if policy.check is not None else "WITH CHECK, which is USING",
            check if check is not None else ("false" if policy.is_permissive else "true"),
            until,
        )


def _describe_part(
    table: DebuggedTable, policy: DebuggedPolicy, title: str, keyword: str, text: str, until: float
) -> PolicyPart:
    shape = table.assess(text) if time.monotonic() < until else UNKNOWN_SHAPE
    sentences = tuple(_list_sentences(policy, shape))
    note = "It trusts user_metadata, which users write themselves." if shape.reads_user_metadata else ""
    return PolicyPart(title, keyword, text, sentences, note)


def _list_sentences(policy: DebuggedPolicy, shape: PolicyShape) -> Iterator[PolicySentence]:
    """For those whom it applies to; a role that is neither of the API's is a caller who is signed in."""
    signed_out = describe_access(shape, PolicyCaller.SIGNED_OUT)
    signed_in = describe_access(shape, PolicyCaller.STRANGER)
    if signed_out == signed_in:
        yield PolicySentence(_WITHOUT_USERS, signed_out)
        return
    if _ANYONE in policy.roles or "anon" in policy.roles:
        yield PolicySentence(_SIGNED_OUT, signed_out)
    if _ANYONE in policy.roles or set(policy.roles) != {"anon"}:
        yield PolicySentence(_SIGNED_IN, signed_in)


def describe_access(shape: PolicyShape, caller: PolicyCaller) -> str:
    access = shape.access[caller]
    if access is PolicyAccess.ALL_ROWS:
        return "every row"
    if access is PolicyAccess.SOME_ROWS:
        return "some rows, which do not depend on who asks" if not shape.asks_who else "some rows"
    if access is PolicyAccess.UNKNOWN:
        return "not known from the expression alone: try it"
    if caller is PolicyCaller.SIGNED_OUT or shape.lets_none_in:
        return "no row"
    owner = shape.access[PolicyCaller.OWNER]
    if owner is PolicyAccess.UNKNOWN:
        return "not known from the expression alone: try it"
    if shape.compared:
        return f"only rows whose {list_names(sorted(shape.compared))} is theirs"
    return "only where something says that they may, such as another table or a claim"
