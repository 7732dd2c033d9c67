"""Only the one who has CRON_SECRET sets off what the scheduler may."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from basewarden.core.secret import Secret
from basewarden.errors import AppError
from basewarden.operations import Scheduler
from basewarden.operations.scheduler import require_scheduler
from basewarden.web import Registry
from basewarden.web.callers import CallerKind, declared_callers
from basewarden.web.responses import error_response
from tests.fixtures.app import make_settings

SECRET = "the scheduler's own, and nobody else's"
router = APIRouter()


@router.post("/api/cron/something")
async def do_something(_: Scheduler) -> dict[str, bool]:
    return {"done": True}


def make_app(secret: str | None) -> FastAPI:
    settings = make_settings("postgresql://nobody@127.0.0.1:1/nothing")
    app = FastAPI()
    app.state.registry = Registry()
    app.state.registry.add(settings.model_copy(update={"cron_secret": Secret(secret) if secret else None}))
    app.add_exception_handler(AppError, lambda _, error: error_response(error))
    app.include_router(router)
    return app


@pytest.fixture
async def scheduler() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(SECRET))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_the_secret_opens(scheduler: httpx.AsyncClient) -> None:
    for scheme in ("Bearer", "bearer"):
        answer = await scheduler.post("/api/cron/something", headers={"authorization": f"{scheme} {SECRET}"})
        assert answer.json() == {"done": True}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [SECRET],
        [f"Basic {SECRET}"],
        ["Bearer"],
        [f"Bearer {SECRET[:-1]}"],
        [f"Bearer {SECRET}x"],
        [f"Bearer {SECRET}", "Bearer other"],
        ["Bearer \xff\xfe"],
        ["Bearer " + "x" * 100_000],
    ],
    ids=lambda headers: str(headers)[:40],
)
async def test_anything_else_does_not(scheduler: httpx.AsyncClient, headers: list[str]) -> None:
    sent = [(b"authorization", value.encode("latin-1")) for value in headers]
    answer = await scheduler.post("/api/cron/something", headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_without_a_secret_nothing_opens() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(None)), base_url="http://test") as client:
        for headers in ({}, {"authorization": "Bearer None"}, {"authorization": f"Bearer {SECRET}"}):
            answer = await client.post("/api/cron/something", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")


def test_it_declares_its_caller() -> None:
    assert declared_callers(require_scheduler) == {CallerKind.SCHEDULER}
