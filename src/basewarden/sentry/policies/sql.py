"""Policies as SQL, with the lines that a finding is about."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from basewarden.sentry.policies.facts import PolicyRecord, TablePolicies
from basewarden.sentry.policies.openings import OpeningKind, name_expressions, sort_openings
from basewarden.sentry.policies.shape import PolicyShape
from basewarden.sentry.rule import ScannedObject
from pgrest import quote_ident

_LONG: Final = 60
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_SUBQUERY: Final = re.compile(r"\( SELECT (auth\.\w+\(\)) AS \w+\)")
_SHAPES: Final[Mapping[str, Callable[[PolicyShape], bool]]] = {
    "rls_slow": lambda shape: shape.is_slow,
    "policy_trusts_user_metadata": lambda shape: shape.reads_user_metadata,
}
"""Rules that look at one expression at a time."""


@dataclass(frozen=True, slots=True)
class SqlLine:
    """`is_cause`: the finding is about this line."""

    text: str
    is_cause: bool = False


@dataclass(frozen=True, slots=True)
class ShownPolicy:
    name: str
    lines: Sequence[SqlLine]

    @property
    def is_cause(self) -> bool:
        return any(line.is_cause for line in self.lines)


def show_policies(found: ScannedObject, rule: str, catalog: Mapping[str, Any]) -> list[ShownPolicy]:
    """Those that a finding is about come first; none where the catalog's facts are not about policies."""
    try:
        policies = msgspec.convert(catalog.get("policies"), tuple[PolicyRecord, ...])
    except msgspec.ValidationError:
        return []
    causes = _find_causes(rule, catalog)
    shown = [_show(found, one, causes.get(one.name, frozenset())) for one in policies]
    return sorted(shown, key=lambda one: (not one.is_cause, one.name))


def read_table(catalog: Mapping[str, Any]) -> TablePolicies | None:
    """None where the catalog's facts are those of another rule, or of an older version."""
    try:
        return msgspec.convert(catalog, TablePolicies)
    except msgspec.ValidationError:
        return None


def tidy_expression(text: str) -> str:
    """Leaves out the names that PostgreSQL adds to subqueries, and begins a line for each part of a long condition."""
    text = _SUBQUERY.sub(r"(SELECT \1)", text)
    if not (text.startswith("(") and text.endswith(")")):
        text = f"({text})"
    return text if len(text) <= _LONG else re.sub(r" (AND|OR) (?=\()", r"\n    \1 ", text)


def _find_causes(rule: str, catalog: Mapping[str, Any]) -> Mapping[str, frozenset[str]]:
    """By policy, the commands whose expression a rule is about."""
    facts = read_table(catalog)
    if facts is None:
        return {}
    if rule in _SHAPES:
        is_cause = _SHAPES[rule]
        return {
            one.name: frozenset(command for command in name_expressions(one) if is_cause(facts.assess(one, command)))
            for one in facts.policies
        }
    openings = sort_openings(facts).get(OpeningKind(rule), ()) if rule in list(OpeningKind) else ()
    return {
        name: frozenset(one.command for one in openings if one.policy.name == name)
        for name in {one.policy.name for one in openings}
    }


def _show(found: ScannedObject, policy: PolicyRecord, commands: frozenset[str]) -> ShownPolicy:
    using = f"  USING {tidy_expression(policy.using)}" if policy.using else ""
    check = f"  WITH CHECK {tidy_expression(policy.check)}" if policy.check else ""
    is_of_check = "insert" in commands and bool(check)
    is_of_using = bool(commands - {"insert"}) or ("insert" in commands and not check)
    table = ".".join(map(_name, [found.schema] * (found.schema not in ("", "public")) + [found.name]))
    lines = [
        *_split(f"CREATE POLICY {_name(policy.name)} ON {table}"),
        *_split("  AS RESTRICTIVE" if not policy.is_permissive else ""),
        *_split(f"  FOR {policy.command.upper()} TO {', '.join(policy.roles)}"),
        *_split(using, is_cause=is_of_using),
        *_split(check, is_cause=is_of_check),
    ]
    return ShownPolicy(policy.name, lines)


def _name(name: str) -> str:
    """For reading, where quotes that are not needed only disturb."""
    return name if _PLAIN.fullmatch(name) else quote_ident(name)


def _split(text: str, *, is_cause: bool = False) -> Iterable[SqlLine]:
    return [SqlLine(line, is_cause) for line in text.splitlines()]
