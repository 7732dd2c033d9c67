"""The values of an expression as far as a truth table knows them, and what follows from several. Pure."""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

Truth = bool | None
Constant = bool | float | str


class ValueKind(Enum):
    PLAIN = "plain"
    CLAIM = "claim"
    METADATA = "metadata"
    """What users write about themselves."""


class PolicyValue(NamedTuple):
    """`key` is the same for the same value. `literal` is a constant's, and None where there is none."""

    key: str
    kind: ValueKind = ValueKind.PLAIN
    literal: Constant | None = None
    is_null: bool = False
    columns: frozenset[str] = frozenset()
    is_unknown: bool = False
    is_nullable: bool = False
    path: tuple[str, ...] | None = None
    """Into the claims, where the value is they or a part of them."""
    inner: str | None = None
    """A subquery's column."""


NULL = PolicyValue("null", is_null=True)


def mark_value(value: PolicyValue, *, asks: bool) -> PolicyValue:
    """What a subquery found by who the caller is says who they are."""
    return value._replace(kind=ValueKind.CLAIM) if asks and value.kind is ValueKind.PLAIN else value


def make_literal(value: Constant) -> PolicyValue:
    return PolicyValue(repr(value), literal=value)


def make_truth(truth: Truth) -> PolicyValue:
    return NULL if truth is None else make_literal(truth)


def compare_literals(operator: str, left: Constant, right: Constant) -> bool | None:
    if type(left) is not type(right):
        return None
    if operator == "=":
        return left == right
    if operator == "<" and isinstance(left, float) and isinstance(right, float):
        return left < right
    return None


def negate(truth: Truth) -> Truth:
    return None if truth is None else not truth


def all_true(truths: Iterable[Truth]) -> Truth:
    """Looks no further than it must, so that the truth table has fewer lines."""
    found: Truth = True
    for truth in truths:
        if truth is False:
            return False
        found = found if truth else None
    return found


def any_true(truths: Iterable[Truth]) -> Truth:
    return negate(all_true(negate(truth) for truth in truths))
