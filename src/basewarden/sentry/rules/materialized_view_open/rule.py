"""A materialized view is readable: it stored the rows that its owner saw, and row level security cannot apply to it."""

from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.view_facts import VIEW_QUERY, read_view
from basewarden.sentry.words import list_names, revoke


def _assess(hit: Hit) -> RuleVerdict | None:
    facts = read_view(hit)
    if not facts.is_stored or any(path.is_users for path in facts.paths):
        return None
    tables = sorted({path.table for path in facts.paths})
    is_anyones = list(hit.roles) != ["authenticated"]
    if facts.sensitive and is_anyones:
        severity = Severity.CRITICAL
    else:
        severity = Severity.WARNING if tables or facts.sensitive else Severity.INFO
    guarded = f" It was filled from {list_names(tables)}, whose policies would not show these rows." if tables else ""
    return RuleVerdict(
        severity,
        f"{hit.object.name}: all rows of the materialized view can be read",
        f"{list_names(hit.roles)} may read it. Row level security cannot apply to a materialized view: all its rows "
        f"are open.{guarded}",
        revoke(hit),
    )


RULE = Rule("materialized_view_open", "A materialized view is open to strangers", VIEW_QUERY, _assess, reads_rows=True)
