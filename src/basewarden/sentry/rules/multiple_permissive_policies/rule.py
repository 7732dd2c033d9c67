"""Several permissive policies hold for one role and command: each is asked, and one that agrees is enough."""

from basewarden.sentry.policies.facts import POLICY_QUERY, TablePolicies
from basewarden.sentry.policies.openings import OpeningKind, find_openings
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts, joined = find_openings(hit, OpeningKind.JOINED)
    found = None if joined else _find_several(facts)
    if found is None:
        return None
    role, command, names = found
    return RuleVerdict(
        Severity.INFO,
        f"{hit.object.name}: {len(names)} permissive policies hold for the same command",
        f"For {command.upper()} by {role} these are asked for each row: {list_names(f'“{name}”' for name in names)}. "
        "One that agrees is enough, which is easy to overlook, and each takes its time.",
    )


def _find_several(facts: TablePolicies) -> tuple[str, str, list[str]] | None:
    for role, commands in facts.rights.items():
        for command in commands:
            names = [one.name for one in facts.policies if one.is_permissive and one.applies(role, command)]
            if len(names) > 1:
                return role, command, names
    return None


RULE = Rule("multiple_permissive_policies", "Several permissive policies for one command", POLICY_QUERY, _assess)
