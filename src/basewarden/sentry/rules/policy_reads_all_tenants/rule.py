"""Every signed-in user reads rows of all owners, or of all tenants, although a column says whose each is."""

from basewarden.sentry.policies.facts import POLICY_QUERY, TablePolicies, read_policies
from basewarden.sentry.policies.openings import OpeningKind, find_openings, name_policies
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts, openings = find_openings(hit, OpeningKind.TENANTS)
    if openings:
        columns = list_names(column.name for column in facts.owner_columns)
        return RuleVerdict(
            Severity.WARNING,
            f"{hit.object.name}: everyone who signs up can read all rows",
            f"{name_policies(openings)} lets every signed-in user read all rows, although {columns} says whose each "
            "is. Without an account no row is shown, so that a test without one finds nothing.",
        )
    return _assess_repeated(hit, read_policies(hit))


def _assess_repeated(hit: Hit, facts: TablePolicies) -> RuleVerdict | None:
    for policy in facts.policies:
        command = "insert" if policy.command == "insert" else "select"
        repeated = facts.assess(policy, command).repeated
        if policy.is_permissive and repeated:
            column = min(repeated)
            return RuleVerdict(
                Severity.CRITICAL,
                f"{hit.object.name}: the policy “{policy.name}” lets members of one team into all others",
                f"In a subquery it compares {column} with itself, where the row's {column} was meant: a column without "
                f"its table's name is the subquery's own. Write {hit.object.name}.{column}.",
            )
    return None


RULE = Rule(
    "policy_reads_all_tenants", "Every signed-in user can read everyone's rows", POLICY_QUERY, _assess, reads_rows=True
)
