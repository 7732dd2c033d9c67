"""Permissive policies are joined by OR: one that lets everyone in makes a strict one of the same table useless."""

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
    facts, openings = find_openings(hit, OpeningKind.JOINED)
    if not openings:
        return None
    roles = list_roles(openings)
    writes = any(opening.command != "select" for opening in openings)
    is_worst = writes or (roles != ["authenticated"] and facts.list_sensitive(roles))
    return RuleVerdict(
        Severity.CRITICAL if is_worst else Severity.WARNING,
        f"{hit.object.name}: {name_callers(openings)} can {name_verbs(openings)} all rows, in spite of its policies",
        f"{name_policies(openings)} lets {list_names(roles)} {name_verbs(openings)} all rows. Another policy of this "
        "table asks whose row it is, but one that agrees is enough: permissive policies are joined by OR.",
    )


RULE = Rule(
    "policies_joined_by_or", "A policy cancels a stricter one", POLICY_QUERY, _assess, reads_rows=True, writes=WRITES
)
