"""A view shows rows of auth.users, where the accounts of all users are, to who may not read that table."""

from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.view_facts import VIEW_QUERY, read_view
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts = read_view(hit)
    if not any(path.is_users for path in facts.paths):
        return None
    shown = f" Among the columns are {list_names(facts.sensitive)}." if facts.sensitive else ""
    return RuleVerdict(
        Severity.CRITICAL,
        f"{hit.object.name} shows the accounts of all users",
        f"This view reads auth.users, which the API's roles may not read themselves, and {list_names(hit.roles)} may "
        f"read the view.{shown}",
    )


RULE = Rule("view_of_auth_users", "A view exposes auth.users", VIEW_QUERY, _assess, reads_rows=True)
