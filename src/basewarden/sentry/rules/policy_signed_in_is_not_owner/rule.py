"""A policy asks whether a caller is signed in, and not whose row it is: everyone who signs up has all rows."""

from basewarden.sentry.policies.facts import POLICY_QUERY
from basewarden.sentry.policies.openings import OpeningKind, find_openings, list_roles, name_policies, name_verbs
from basewarden.sentry.rule import WRITES, Hit, Rule, RuleVerdict, Severity


def _assess(hit: Hit) -> RuleVerdict | None:
    facts, openings = find_openings(hit, OpeningKind.SIGNED_IN)
    if not openings:
        return None
    is_owned = bool(facts.owner_columns)
    if any(opening.command in {"update", "delete"} for opening in openings):
        severity = Severity.CRITICAL if is_owned else Severity.WARNING
    else:
        is_private = is_owned or bool(facts.list_sensitive(list_roles(openings)))
        severity = Severity.WARNING if is_private else Severity.INFO
    return RuleVerdict(
        severity,
        f"{hit.object.name}: everyone who signs up can {name_verbs(openings)} all rows",
        f"{name_policies(openings)} asks whether a caller is signed in, and compares no column with who they are. "
        "Who signed up a minute ago passes as well as the row's owner.",
    )


RULE = Rule(
    "policy_signed_in_is_not_owner",
    "A policy asks for a sign-in, but not for the owner",
    POLICY_QUERY,
    _assess,
    reads_rows=True,
    writes=WRITES,
)
