"""A policy calls the function that says who the caller is once for each row, where once for the query would do."""

from basewarden.sentry.policies.facts import POLICY_QUERY, read_policies
from basewarden.sentry.policies.openings import name_expressions
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts = read_policies(hit)
    slow = [
        policy.name
        for policy in facts.policies
        if policy.command != "insert"
        and any(facts.assess(policy, command).is_slow for command in name_expressions(policy) if command != "insert")
    ]
    if not slow:
        return None
    return RuleVerdict(
        Severity.INFO,
        f"{hit.object.name}: policies look up the user again for every row",
        f"In {list_names(f'“{name}”' for name in slow)} the function that says who the caller is runs for each row. "
        "Written as (SELECT auth.uid()), it runs once for each query.",
    )


RULE = Rule("rls_slow", "A policy looks up the user again for every row", POLICY_QUERY, _assess)
