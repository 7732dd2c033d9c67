"""An INSERT policy does not ask for the column that says whose the row is: users write in the name of others."""

from basewarden.sentry.policies.facts import POLICY_QUERY
from basewarden.sentry.policies.openings import OpeningKind, find_openings, name_policies
from basewarden.sentry.rule import Hit, ProbeAttempt, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts, openings = find_openings(hit, OpeningKind.INSERT)
    if not openings:
        return None
    columns = list_names(column.name for column in facts.owner_columns)
    return RuleVerdict(
        Severity.INFO if facts.has_insert_trigger else Severity.WARNING,
        f"{hit.object.name}: everyone who signs up can add rows in the name of others",
        f"{name_policies(openings)} does not compare {columns} with who adds the row, so that the caller fills in "
        "whose it is.",
    )


RULE = Rule(
    "insert_owner_set_by_caller",
    "Users can choose the owner of rows that they add",
    POLICY_QUERY,
    _assess,
    writes=(ProbeAttempt.INSERT,),
)
