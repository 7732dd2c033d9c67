"""`/docs`, which leads to the guide and to the API reference, and `/docs/api`."""

import asyncio
from functools import cache

from fastapi import APIRouter, Depends, FastAPI
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response

from basewarden.gateway import DATA_ERRORS
from basewarden.operations.api import INTRODUCTION, list_data_errors, read_reference
from basewarden.operations.api.reference import ApiGroup
from basewarden.web import PagesDep, SettingsDep, anyone

router = APIRouter(prefix="/docs", include_in_schema=False, dependencies=[Depends(anyone)])


@cache
def _read_groups(app: FastAPI, origin: str) -> tuple[ApiGroup, ...]:
    """The document does not change while the process runs."""
    return read_reference(app.openapi(), origin)


@router.get("")
async def get_docs(request: Request, pages: PagesDep) -> Response:
    return pages.render(request, "operations/docs.html")


@router.get("/api")
async def get_api(request: Request, pages: PagesDep, settings: SettingsDep) -> Response:
    groups = await asyncio.to_thread(_read_groups, request.app, settings.origin)
    return pages.render(
        request,
        "operations/api.html",
        groups=groups,
        chapters=INTRODUCTION,
        data_errors=list_data_errors(DATA_ERRORS),
        origin=settings.origin,
        mark_code=mark_code,
    )


def mark_code(text: str) -> Markup:
    """Text between backquotes as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(one) if at % 2 else escape(one) for at, one in enumerate(parts)
    )
