"""A policy believes what users write about themselves: `user_metadata` is theirs to change."""

from basewarden.sentry.policies.facts import POLICY_QUERY, PolicyRecord, TablePolicies, read_policies
from basewarden.sentry.policies.openings import name_expressions
from basewarden.sentry.policies.shape import PolicyAccess
from basewarden.sentry.policies.truth import PolicyCaller
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts = read_policies(hit)
    found = [policy for policy in facts.policies if _reads_metadata(facts, policy)]
    if not found:
        return None
    names = list_names(f"“{policy.name}”" for policy in found)
    lets_in = any(_lets_forger_in(facts, policy) for policy in found)
    return RuleVerdict(
        Severity.CRITICAL if lets_in else Severity.WARNING,
        f"{hit.object.name}: what a user writes about themselves opens rows"
        if lets_in
        else f"A policy of {hit.object.name} believes what users write about themselves",
        f"The policy {names} reads user_metadata, which every signed-in user changes with auth.updateUser(): "
        "who writes into it what the policy asks for is let in.",
    )


def _reads_metadata(facts: TablePolicies, policy: PolicyRecord) -> bool:
    return any(facts.assess(policy, command).reads_user_metadata for command in name_expressions(policy))


def _lets_forger_in(facts: TablePolicies, policy: PolicyRecord) -> bool:
    shapes = [facts.assess(policy, command).access for command in name_expressions(policy)]
    return policy.is_permissive and any(
        access[PolicyCaller.STRANGER] is PolicyAccess.NO_ROWS
        and access[PolicyCaller.FORGER] in (PolicyAccess.SOME_ROWS, PolicyAccess.ALL_ROWS)
        for access in shapes
    )


RULE = Rule("policy_trusts_user_metadata", "A policy trusts user_metadata, which users can edit", POLICY_QUERY, _assess)
