"""Every route declares who may call it."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import BaseRoute

from basewarden.app import assemble_app, build_registry
from basewarden.gateway import DataAPI
from basewarden.operations.liveness import Liveness
from basewarden.web import CallerKind, Edge, anyone, callers
from basewarden.web.bodies import WholeBodies
from basewarden.web.callers import declared_callers
from basewarden.web.compression import Compression
from tests.fixtures.app import make_settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
OPEN_TO_ANYONE = {"/static": "the pages' own files"}


def list_callers(dependant: Dependant) -> Iterator[CallerKind]:
    """What the checks of a route let in, wherever they stand among its dependencies."""
    yield from declared_callers(dependant.call)
    for inner in dependant.dependencies:
        yield from list_callers(inner)


def callers_of(route: RouteContext) -> set[CallerKind]:
    return set(list_callers(route.dependant)) if hasattr(route, "dependant") else set()


def find_undeclared(routes: Sequence[BaseRoute]) -> list[str]:
    return [
        f"{sorted(route.methods or [])} {route.path}"
        for route in iter_route_contexts(routes)
        if route.path not in OPEN_TO_ANYONE and not callers_of(route)
    ]


def find_contradictions(routes: Sequence[BaseRoute]) -> list[str]:
    """Open to anyone and yet checked: one of the two is a mistake."""
    return [
        f"{route.path}"
        for route in iter_route_contexts(routes)
        if CallerKind.ANYONE in callers_of(route) and len(callers_of(route)) > 1
    ]


def make_product() -> tuple[DataAPI, FastAPI]:
    """The application as it is served; nothing is connected before it starts."""
    edge = assemble_app(build_registry(make_settings(NOWHERE)))
    assert isinstance(edge, Edge)
    assert isinstance(edge._app, Liveness)
    data_api = edge._app._then
    assert isinstance(data_api, DataAPI)
    assert isinstance(data_api._then, WholeBodies)
    compression = data_api._then._app
    assert isinstance(compression, Compression)
    api = compression._app
    assert isinstance(api, FastAPI)
    return data_api, api


def test_every_route_declares_its_callers() -> None:
    data_api, api = make_product()
    assert declared_callers(data_api) == {CallerKind.AGENT, CallerKind.MEMBER}
    assert len(list(iter_route_contexts(api.routes))) > 30
    assert find_undeclared(api.routes) == []
    assert find_contradictions(api.routes) == []


def test_a_connections_routes_are_for_its_members_only() -> None:
    _, api = make_product()
    of_connections = [route for route in iter_route_contexts(api.routes) if "{connection_id}" in (route.path or "")]
    assert len(of_connections) > 10
    assert [route.path for route in of_connections if CallerKind.MEMBER not in callers_of(route)] == []


def test_undeclared_and_contradicting_routes_are_found() -> None:
    router = APIRouter()

    @callers(CallerKind.PERSON)
    async def person() -> None: ...

    @router.get("/forgotten")
    async def forgotten() -> None: ...

    @router.get("/declared", dependencies=[Depends(anyone)])
    async def declared() -> None: ...

    @router.get("/both", dependencies=[Depends(anyone)])
    async def both(_: Annotated[None, Depends(person)]) -> None: ...

    app = FastAPI(openapi_url=None)
    app.include_router(router, prefix="/some")
    assert find_undeclared(app.routes) == ["['GET'] /some/forgotten"]
    assert find_contradictions(app.routes) == ["/some/both"]
