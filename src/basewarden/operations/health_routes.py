"""`/api/health`. Asks nobody who they are, and tells nobody more than that it works."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from basewarden.errors import Unavailable
from basewarden.operations.health import Health, HealthReport
from basewarden.web import anyone, provided
from basewarden.web.openapi import declare
from basewarden.web.responses import JSON_TYPE

router = APIRouter(prefix="/api/health", tags=["operational"], dependencies=[Depends(anyone)])

TheHealth = Annotated[Health, Depends(provided(Health))]


class HealthBody(BaseModel):
    status: Literal["ok", "degraded"]
    db: bool
    email: bool
    billing: bool
    observability: bool
    version: str


class UnhealthyBody(HealthBody):
    """Health and the body of every error in one: either reader finds what it looks for."""

    code: str = Unavailable.code
    message: str = "The database cannot be reached."
    details: None = None
    hint: None = None


class LiveBody(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("", response_model=HealthBody, responses=declare(Unavailable))
async def get_health(health: TheHealth) -> HealthBody | Response:
    """200 while the database answers, else 503."""
    report = await health.report()
    if report.db:
        return _make_body(HealthBody, report)
    body = _make_body(UnhealthyBody, report).model_dump_json()
    return Response(body, status_code=HTTPStatus.SERVICE_UNAVAILABLE, media_type=JSON_TYPE)


@router.get("/live")
async def get_live() -> LiveBody:
    """200 while this process answers at all; asks nothing of anything."""
    return LiveBody()


def _make_body(kind: type[HealthBody], report: HealthReport) -> HealthBody:
    parts = report.configured
    return kind.model_validate(
        {
            "status": report.status,
            "db": report.db,
            "email": parts.email,
            "billing": parts.billing,
            "observability": parts.observability,
            "version": report.version,
        }
    )
