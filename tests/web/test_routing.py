"""Routes resolved ahead of requests."""

import fastapi.routing
import pytest
from fastapi import APIRouter, FastAPI, Request
from httpx import ASGITransport, AsyncClient

from basewarden.web.routing import list_routes, resolve_routes


async def test_no_request_resolves_what_was_resolved_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    app, router = FastAPI(), APIRouter()
    router.add_api_route("/here", lambda: "here")
    app.include_router(router)
    await resolve_routes(app)

    def fail(**_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(fastapi.routing, "get_dependant", fail)
    async with AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:
        assert (await client.get("/here")).json() == "here"
        assert (await client.get("/nowhere")).status_code == 404


async def test_a_second_application_resolves_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter()

    @router.get("/here")
    def show(request: Request) -> str:
        return str(request.app.title)

    routes = list_routes(router)
    apps = [FastAPI(title=title) for title in ("first", "second")]
    for app in apps:
        app.routes.extend(routes)
    await resolve_routes(apps[0])

    def fail(**_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(fastapi.routing, "get_dependant", fail)
    for app in apps:
        async with AsyncClient(transport=ASGITransport(app), base_url="http://x") as client:
            assert (await client.get("/here")).json() == app.title
            assert (await client.get("/nowhere")).status_code == 404
