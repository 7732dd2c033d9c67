"""An UPDATE may change whose a row is: the check on the new row does not ask for it."""

from basewarden.sentry.policies.facts import POLICY_QUERY
from basewarden.sentry.policies.openings import OpeningKind, find_openings, name_policies
from basewarden.sentry.rule import Hit, ProbeAttempt, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts, openings = find_openings(hit, OpeningKind.CHANGE_HANDS)
    if not openings:
        return None
    columns = list_names(column.name for column in facts.owner_columns)
    return RuleVerdict(
        Severity.INFO if facts.has_update_trigger else Severity.WARNING,
        f"{hit.object.name}: who may change a row may give it to others",
        f"{name_policies(openings)} asks who may change a row, but what it asks of the changed row holds for any value "
        f"of {columns}. A user can put rows into another's name, or take those that they share.",
    )


RULE = Rule(
    "update_check_lets_rows_change_hands",
    "An update can change the owner of a row",
    POLICY_QUERY,
    _assess,
    writes=(ProbeAttempt.HAND_OVER,),
)
