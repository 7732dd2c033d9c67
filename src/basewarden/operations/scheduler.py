"""Authenticates `/api/cron/*` by CRON_SECRET; without one, all requests are refused."""

import hmac
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from basewarden.core.secret import Secret
from basewarden.core.tokens import hash_token
from basewarden.errors import NotConfigured, Unauthenticated
from basewarden.web import CallerKind, SettingsDep, callers


@callers(CallerKind.SCHEDULER)
async def require_scheduler(request: Request, settings: SettingsDep) -> None:
    if not settings.cron_secret:
        raise NotConfigured(hint="Set CRON_SECRET.")
    if not has_bearer(request, settings.cron_secret):
        raise Unauthenticated


Scheduler = Annotated[None, Depends(require_scheduler)]


def has_bearer(request: Request, secret: Secret) -> bool:
    """Whether the single Authorization header has this secret, compared in constant time."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    is_same = hmac.compare_digest(hash_token(token.strip()), hash_token(secret.reveal()))
    return is_same and scheme.lower() == "bearer"
