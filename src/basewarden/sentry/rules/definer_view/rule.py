"""A view without security_invoker reads as its owner: it shows rows that row level security hides from who asks."""

from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.view_facts import VIEW_QUERY, read_view
from basewarden.sentry.words import list_names


def _assess(hit: Hit) -> RuleVerdict | None:
    facts = read_view(hit)
    if facts.is_stored or not facts.paths or any(path.is_users for path in facts.paths):
        return None
    tables = list_names(sorted({path.table for path in facts.paths}))
    is_anyones = list(hit.roles) != ["authenticated"]
    is_worst = is_anyones and (facts.sensitive or facts.is_written)
    written = " Rows can be changed through it, too." if facts.is_written else ""
    through = sorted({path.through for path in facts.paths if not path.is_stored})
    is_fixable = all(not path.is_stored for path in facts.paths)
    return RuleVerdict(
        Severity.CRITICAL if is_worst else Severity.WARNING,
        f"{hit.object.name}: the view shows rows that row level security would hide",
        f"{list_names(hit.roles)} may read this view, and it reads {tables} with the rights of its owner, whom row "
        f"level security does not hold back. Whatever the policies say, the view shows all it selects.{written}",
        "\n".join(f"ALTER VIEW {name} SET (security_invoker = true);" for name in through) if is_fixable else None,
    )


RULE = Rule("definer_view", "A view ignores row level security", VIEW_QUERY, _assess, reads_rows=True)
