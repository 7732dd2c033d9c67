"""Lists every route with who may call it, read from the checks that it depends on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import BaseRoute

from basewarden.web.callers import CallerKind, CallerNeed, declared_callers, declared_need, declared_role

MEMBER_ROLES: Final = ("", "viewer", "editor", "owner")
"""From the least to the most; "" where no membership is needed."""


@dataclass(frozen=True, slots=True)
class RouteAccess:
    """`kinds` are all that the checks name: a member is a person too. `role` is the least that a member needs."""

    method: str
    path: str
    kinds: frozenset[CallerKind]
    role: str
    needs: frozenset[CallerNeed]


def list_route_access(routes: Sequence[BaseRoute]) -> list[RouteAccess]:
    """Lists methods and paths in the order of the paths; routes that are no endpoints of FastAPI are left out."""
    found = [
        read_access(method, route.path or "", route.dependant)
        for route in iter_route_contexts(routes)
        if hasattr(route, "dependant")
        for method in route.methods or ()
        if method != "HEAD"
    ]
    return sorted(found, key=lambda one: (one.path, one.method))


def read_access(method: str, path: str, dependant: Dependant) -> RouteAccess:
    checks = [check for check in _list_checks(dependant) if declared_callers(check)]
    return RouteAccess(
        method=method,
        path=path,
        kinds=frozenset(kind for check in checks for kind in declared_callers(check)),
        role=max((str(declared_role(check)) for check in checks), key=MEMBER_ROLES.index, default=""),
        needs=frozenset(need for check in checks if (need := declared_need(check)) is not None),
    )


def _list_checks(dependant: Dependant) -> Iterator[object]:
    """Yields what the route calls, wherever it is among the dependencies."""
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _list_checks(inner)
