"""Routes resolved ahead of requests."""

import fastapi.routing
import pytest
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient

from basewarden.web.routing import resolve_routes


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
