"""`/api/health`: public, and reports only whether the deployment works."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from basewarden.operations.health import HEALTH_PATH, LIVE_PATH, Health, HealthReport
from basewarden.web import STABLE, anyone, inject

router = APIRouter(prefix=HEALTH_PATH, tags=["operational"], dependencies=[Depends(anyone)])

HealthDep = Annotated[Health, Depends(inject(Health))]


class HealthBody(BaseModel):
    status: Literal["ok", "degraded"]
    db: bool
    email: bool
    billing: bool
    observability: bool
    version: str


class LiveBody(BaseModel):
    status: Literal["ok"] = "ok"


@router.get(
    "",
    responses={503: {"model": HealthBody, "description": "the database cannot be reached"}},
    summary="Returns whether the deployment works.",
    openapi_extra=STABLE,
)
async def get_health(health: HealthDep, response: Response) -> HealthBody:
    """200 while the database responds, otherwise 503 with the same six fields."""
    report = await health.report()
    if not report.db:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return _make_body(report)


@router.get(LIVE_PATH.removeprefix(HEALTH_PATH), summary="Returns whether the process answers.")
async def get_live() -> LiveBody:
    """It needs neither the database nor anything else."""
    return LiveBody()


def _make_body(report: HealthReport) -> HealthBody:
    parts = report.configured
    return HealthBody(
        status="ok" if report.db else "degraded",
        db=report.db,
        email=parts.email,
        billing=parts.billing,
        observability=parts.observability,
        version=report.version,
    )
