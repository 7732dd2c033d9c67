"""A policy is true for everyone, and all rows are read by every caller."""

from basewarden.sentry.policies.facts import POLICY_QUERY
from basewarden.sentry.policies.openings import OpeningKind, find_openings, list_roles, name_callers, name_policies
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts, openings = find_openings(hit, OpeningKind.READ)
    roles = list_roles(openings)
    sensitive = facts.list_sensitive(roles)
    if not openings or facts.has_secret_grant(roles):
        return None
    if sensitive:
        severity = Severity.CRITICAL if roles != ["authenticated"] else Severity.WARNING
    else:
        severity = Severity.WARNING if facts.owner_columns else Severity.INFO
    shown = f" Among the columns are {list_names(sensitive)}." if sensitive else ""
    return RuleVerdict(
        severity,
        f"{hit.object.name}: {name_callers(openings)} can read all rows",
        f"{name_policies(openings)} of this table is true for everyone, and {list_names(roles)} may read it.{shown}",
    )


RULE = Rule("policy_always_true_read", "A policy lets everyone read", POLICY_QUERY, _assess, reads_rows=True)
