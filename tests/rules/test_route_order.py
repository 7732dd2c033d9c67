"""No route is shadowed: requests go to the first route that fits, so a fixed segment comes before a parameter."""

import re
from collections.abc import Iterable, Sequence

from fastapi import APIRouter
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import compile_path

from basewarden.demo import DEMO_ROUTERS
from basewarden.web import list_routes
from tests.rules.test_callers import make_product

_PARAMETER = re.compile(r"\{[^}]*\}")
_ANY_VALUE = "\0"  # that is in no path


def find_shadowed(routes: Iterable[RouteContext]) -> Sequence[tuple[str, str]]:
    """The paths that are never reached, each with the earlier path that gets their requests."""
    earlier: list[tuple[str, frozenset[str], re.Pattern[str]]] = []
    shadowed = []
    for route in routes:
        path, methods = route.path or "", frozenset(route.methods or ())
        request = _PARAMETER.sub(_ANY_VALUE, path)
        shadowed += [(path, other) for other, others, pattern in earlier if methods & others and pattern.match(request)]
        earlier.append((path, methods, compile_path(path)[0]))
    return shadowed


def test_no_route_is_shadowed_by_an_earlier_one() -> None:
    _, api = make_product()
    routes = [*iter_route_contexts(list_routes(*DEMO_ROUTERS)), *iter_route_contexts(api.routes)]
    assert len(routes) > 200
    assert find_shadowed(routes) == []


def test_a_shadowed_route_is_found() -> None:
    router = APIRouter()

    @router.get("/sessions/{session_id}")
    async def get_session(session_id: str) -> None: ...

    @router.post("/sessions/summary")
    async def post_summary() -> None: ...

    @router.get("/sessions/summary")
    async def get_summary() -> None: ...

    routes = iter_route_contexts(list_routes(router))
    assert find_shadowed(routes) == [("/sessions/summary", "/sessions/{session_id}")]
