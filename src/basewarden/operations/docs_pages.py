"""`/docs`, the way to the guide and to the API, and `/docs/api`."""

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from basewarden.operations.api import COMMON, GROUPS
from basewarden.web import PagesDep, SettingsDep, anyone

router = APIRouter(prefix="/docs", include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("")
async def get_docs(request: Request, pages: PagesDep) -> Response:
    return pages.render(request, "operations/docs.html")


@router.get("/api")
async def get_api(request: Request, pages: PagesDep, settings: SettingsDep) -> Response:
    return pages.render(request, "operations/api.html", groups=GROUPS, common=COMMON, origin=settings.origin)
