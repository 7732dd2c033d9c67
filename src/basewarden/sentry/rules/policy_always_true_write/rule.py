"""A policy is true for everyone, and rows are added, changed or deleted by every caller."""

from basewarden.sentry.policies.facts import POLICY_QUERY
from basewarden.sentry.policies.openings import (
    OpeningKind,
    find_openings,
    list_roles,
    name_callers,
    name_policies,
    name_verbs,
)
from basewarden.sentry.rule import WRITES, Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    _, openings = find_openings(hit, OpeningKind.WRITE)
    if not openings:
        return None
    roles, commands = list_roles(openings), {opening.command for opening in openings}
    if commands & {"update", "delete"}:
        severity = Severity.CRITICAL
    else:
        severity = Severity.WARNING if roles != ["authenticated"] else Severity.INFO
    return RuleVerdict(
        severity,
        f"{hit.object.name}: {name_callers(openings)} can {name_verbs(openings)} rows",
        f"{name_policies(openings)} of this table does not ask who it is that writes, and lets {list_names(roles)} "
        f"{name_verbs(openings)} rows of others, too.",
    )


RULE = Rule(
    "policy_always_true_write", "A policy lets everyone write", POLICY_QUERY, _assess, reads_rows=True, writes=WRITES
)
