"""The table of `docs/reference/routes.md` from the checks of all routes, for `scripts/references.py`."""

from collections.abc import Iterable, Iterator
from typing import Final

from basewarden.app import build_api
from basewarden.gateway import DataAPI
from basewarden.web import CallerKind, CallerNeed, RouteAccess, list_route_access
from scripts.api_reference import make_registry
from scripts.reference import DOCS, put_table

PAGE = DOCS / "reference" / "routes.md"
_HEAD = ("| method | path | who |", "|---|---|---|")
_KINDS: Final = (
    (CallerKind.PROVIDER, "the payment provider, by its signature"),
    (CallerKind.SCHEDULER, "a scheduler, with `CRON_SECRET`"),
    (CallerKind.SCRAPER, "a scraper, with the metrics token"),
    (CallerKind.PERSON, "a signed-in person"),
    (CallerKind.ANYONE, "anyone"),
)
"""The first that fits."""
_ROLES: Final = {"viewer": "viewer, editor, owner", "editor": "editor, owner", "owner": "owner"}
_NEEDS: Final = {
    CallerNeed.RECENT: "with a recent sign-in",
    CallerNeed.OPERATOR: "who is an operator",
    CallerNeed.WITHOUT_SECOND_FACTOR: "also before the second factor",
}
_DATA: Final = (
    ("GET, HEAD, OPTIONS", "/api/v/{connection_id}/rest/v1/…", "agent, viewer, editor, owner"),
    ("POST, PUT, PATCH, DELETE", "/api/v/{connection_id}/rest/v1/…", "agent with write access, editor, owner"),
    ("GET", "/api/v/{connection_id}/introspect", "agent, viewer, editor, owner"),
    ("GET", "/static/…", "anyone"),
)
"""What FastAPI does not serve; `tests/contract/test_access_matrix.py` tests the data API too."""


def make_table() -> str:
    """Returns the table for the code of this checkout; it connects to nothing."""
    assert DataAPI.callers == {CallerKind.AGENT, CallerKind.MEMBER}
    routes = list_route_access(build_api(make_registry()).routes)
    ours = [line for one in routes for line in [(one.method, one.path, describe_access(one))]]
    return "\n".join((*_HEAD, *_make_lines(sorted([*_DATA, *ours], key=lambda line: line[1]))))


def describe_access(route: RouteAccess) -> str:
    who = _ROLES.get(route.role) or next((text for kind, text in _KINDS if kind in route.kinds), "nothing is declared")
    needs = [text for need, text in _NEEDS.items() if need in route.needs]
    return ", ".join([who, *needs])


def _make_lines(rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    yield from (f"| {method} | `{path}` | {who} |" for method, path, who in rows)


def make_page() -> str:
    return put_table(PAGE.read_text(), make_table())
