"""Words and names for the texts and the SQL of rules."""

from collections.abc import Iterable
from urllib.parse import quote

from basewarden.sentry.rule import Hit, ScannedObject
from pgrest import quote_ident


def list_names(names: Iterable[str]) -> str:
    """`a`, `a and b`, or `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def quote_object(found: ScannedObject) -> str:
    """As SQL names it; a function with its arguments."""
    name = f"{quote_ident(found.schema)}.{quote_ident(found.name)}" if found.schema else quote_ident(found.name)
    return name if found.arguments is None else f"{name}({found.arguments})"


def revoke(hit: Hit, rights: str = "ALL") -> str:
    """From those that reach it; a right that they have through PUBLIC is PUBLIC's."""
    roles = ", ".join(quote_ident(role) for role in hit.roles if role != "public")
    return f"REVOKE {rights} ON {quote_object(hit.object)} FROM {', '.join(filter(None, ('PUBLIC', roles)))};"


def make_request(found: ScannedObject) -> str:
    """What a stranger sends to read the object: the address and the key are in every page of the project's site."""
    return f"curl 'https://<project>/rest/v1/{quote(found.name)}?select=*' \\\n  -H 'apikey: <the public key>'" + (
        "" if found.schema == "public" else f" \\\n  -H {_quote_argument(f'Accept-Profile: {found.schema}')}"
    )


def _quote_argument(text: str) -> str:
    """For a shell: the name of a schema may hold a quote, and a command behind it."""
    escaped = text.replace("'", "'\\''")
    return f"'{escaped}'"
