"""Some rows are open to all on purpose, and sensitive columns are read with them: policies hide no column."""

from basewarden.sentry.policies.facts import POLICY_QUERY
from basewarden.sentry.policies.openings import OpeningKind, find_openings, list_half_open
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import list_names, quote_object
from pgrest import quote_ident


def _assess(hit: Hit) -> RuleVerdict | None:
    facts, openings = find_openings(hit, OpeningKind.READ)
    roles = list_half_open(facts)
    sensitive = facts.list_sensitive(roles)
    if openings or not sensitive or facts.has_secret_grant(roles):
        return None
    others = [one.name for one in facts.columns if one.name not in sensitive]
    named, granted = quote_object(hit.object), ", ".join(map(quote_ident, others))
    to = ", ".join(map(quote_ident, roles)) if roles != ["public"] else "PUBLIC"
    return RuleVerdict(
        Severity.CRITICAL if roles != ["authenticated"] else Severity.WARNING,
        f"{hit.object.name}: {list_names(sensitive)} of its rows can be read by everyone",
        f"A policy opens some rows of this table to {list_names(roles)}, and with them all columns: row level security "
        f"chooses rows, not columns. Of the open rows {list_names(sensitive)} can be read.",
        f"REVOKE SELECT ON {named} FROM PUBLIC, {to};\nGRANT SELECT ({granted}) ON {named} TO {to};"
        if others
        else None,
    )


RULE = Rule("sensitive_columns_open", "Public rows show sensitive columns", POLICY_QUERY, _assess, reads_rows=True)
