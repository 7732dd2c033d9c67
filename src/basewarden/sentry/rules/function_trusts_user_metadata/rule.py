"""A function that takes a role or a tenant from user_metadata, which every user can edit."""

from basewarden.sentry.fragments import API_ROLES
from basewarden.sentry.function_parts import CODE, FUNCTIONS, ROLES
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity

# A name or a picture in there is what it is for; a role or a tenant is not.
_TRUSTED = (
    r"\m(user_metadata|raw_user_meta_data)\M([^a-z0-9_;]|::jsonb?)*(is_|user_|app_|my_)?"
    r"(role|admin|superuser|staff|moderator|tenant|org|organi[sz]ation|team|company|workspace|permission|plan|claim|group)"
    r"(s|_?ids?|_type|_level)?\M"
)
_QUERY = rf"""
WITH {API_ROLES}, {FUNCTIONS}
SELECT 'function' AS type, f.schema, f.name, NULL AS column_name, f.arguments, {ROLES} AS roles,
  json_build_object('is_trigger', f.is_trigger, 'is_definer', f.is_definer,
    'key', (regexp_match(c.body, '{_TRUSTED}'))[4]) AS facts
FROM functions f, {CODE}
WHERE c.body ~ '{_TRUSTED}'
"""


def _assess(hit: Hit) -> RuleVerdict:
    return RuleVerdict(
        Severity.CRITICAL,
        f"{hit.object.name} takes a {hit.facts['key']} from what users write about themselves",
        "user_metadata (raw_user_meta_data in auth.users) can be changed by every user, with one call of the "
        f"browser's library, and at sign-up too. {hit.object.name} reads a {hit.facts['key']} there, so a user "
        "chooses their own. Read it from app_metadata or from a table that users cannot write.",
    )


RULE = Rule("function_trusts_user_metadata", "A function trusts user_metadata, which users can edit", _QUERY, _assess)
