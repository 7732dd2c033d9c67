"""A SECURITY DEFINER function without a search_path of its own: its caller chooses what its names mean."""

from basewarden.sentry.function_parts import FUNCTIONS
from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from basewarden.sentry.words import quote_object
from pgrest import quote_ident

# The names of a body that was bound when it was made, and of a language's own code, mean the same for every caller.
_QUERY = f"""
WITH {FUNCTIONS}
SELECT 'function' AS type, f.schema, f.name, NULL AS column_name, f.arguments, '{{}}'::text[] AS roles,
  json_build_object('has_extensions', to_regnamespace('extensions') IS NOT NULL, 'is_trigger', f.is_trigger) AS facts
FROM functions f
WHERE f.is_definer AND NOT f.is_bound AND f.language NOT IN ('c', 'internal')
  AND NOT EXISTS (SELECT FROM unnest(f.settings) AS s(setting) WHERE s.setting LIKE 'search\\_path=%')
"""


def _assess(hit: Hit) -> RuleVerdict:
    own = quote_ident(hit.object.schema)
    path = f"pg_catalog, {own}{', extensions' if hit.facts['has_extensions'] else ''}, pg_temp"
    return RuleVerdict(
        Severity.WARNING,
        f"{hit.object.name}: the caller chooses what its names mean",
        f"{hit.object.name} is SECURITY DEFINER and sets no search_path. A caller who may create a table or a function "
        "in any schema of the search_path, a temporary one too, can have it used in the place of yours, with "
        "the rights of the owner.",
        f"ALTER ROUTINE {quote_object(hit.object)} SET search_path = {path};",
    )


RULE = Rule("function_search_path_mutable", "A SECURITY DEFINER function has no fixed search_path", _QUERY, _assess)
