"""`/api/openapi.json`: the API for programs."""

import asyncio
import json
from functools import cache

from fastapi import APIRouter, Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from basewarden.web import anyone

router = APIRouter(include_in_schema=False, dependencies=[Depends(anyone)])


@router.get("/api/openapi.json")
async def get_openapi(request: Request) -> Response:
    """FastAPI would make the document in the event loop, which takes more than a second."""
    return Response(await asyncio.to_thread(_encode, request.app), media_type="application/json")


@cache
def _encode(app: FastAPI) -> bytes:
    """Cached, because the document does not change while the process runs."""
    return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()
