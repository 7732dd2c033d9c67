"""An extension of which the server holds a newer version than the database uses."""

from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from pgrest import quote_ident

_QUERY = """
SELECT 'extension' AS type, '' AS schema, e.extname::text AS name, NULL AS column_name, NULL AS arguments,
  '{}'::text[] AS roles, json_build_object('installed', e.extversion, 'available', a.default_version) AS facts
FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname WHERE a.default_version <> e.extversion
"""


def _assess(hit: Hit) -> RuleVerdict:
    name, installed, available = hit.object.name, hit.facts["installed"], hit.facts["available"]
    return RuleVerdict(
        Severity.INFO,
        f"{name} is at version {installed}, and the server has {available}",
        f"The code of {name} on the server is that of {available}, while its objects in this database are those of "
        f"{installed}. Corrections, those of security among them, may need both.",
        f"ALTER EXTENSION {quote_ident(name)} UPDATE;",
    )


RULE = Rule("extension_outdated", "An extension is outdated", _QUERY, _assess)
