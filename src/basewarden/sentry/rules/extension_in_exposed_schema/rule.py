"""An extension in an exposed schema: all of its functions are calls of the API."""

from basewarden.sentry.rule import Hit, Rule, RuleVerdict, Severity
from pgrest import quote_ident

_QUERY = """
SELECT 'extension' AS type, n.nspname::text AS schema, e.extname::text AS name, NULL AS column_name, NULL AS arguments,
  '{}'::text[] AS roles, json_build_object('is_relocatable', e.extrelocatable, 'functions', (
    SELECT count(*) FROM pg_depend d WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
      AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass)) AS facts
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE n.nspname = ANY($1)
"""


def _assess(hit: Hit) -> RuleVerdict | None:
    name, functions = hit.object.name, hit.facts["functions"]
    if not functions:
        return None
    return RuleVerdict(
        Severity.INFO,
        f"The extension {name} is in the exposed schema {hit.object.schema}",
        f"Its functions ({functions:,} of them) are calls of the API like your own, and its names stand between yours. "
        "Move it to a schema that is not exposed, and put that schema into the search_path of what uses it.",
        "CREATE SCHEMA IF NOT EXISTS extensions;\n"
        f"GRANT USAGE ON SCHEMA extensions TO PUBLIC;\nALTER EXTENSION {quote_ident(name)} SET SCHEMA extensions;"
        if hit.facts["is_relocatable"]
        else None,
    )


RULE = Rule("extension_in_exposed_schema", "An extension is installed in an exposed schema", _QUERY, _assess)
