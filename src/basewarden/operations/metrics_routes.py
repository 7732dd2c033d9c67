"""`/metrics`: requires BASEWARDEN_METRICS_TOKEN. Without the token, it answers like an unknown address."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request

from basewarden.errors import NotFound
from basewarden.operations.metrics import Metrics
from basewarden.operations.scheduler import has_bearer
from basewarden.web import CallerKind, SettingsDep, callers, inject


@callers(CallerKind.SCRAPER)
async def require_scraper(request: Request, settings: SettingsDep) -> None:
    if not settings.metrics_token or not has_bearer(request, settings.metrics_token):
        raise NotFound


router = APIRouter(include_in_schema=False, dependencies=[Depends(require_scraper)])


@router.get("/metrics")
async def get_metrics(metrics: Annotated[Metrics, Depends(inject(Metrics))]) -> Response:
    return Response(await metrics.render(), media_type=CONTENT_TYPE_LATEST)
