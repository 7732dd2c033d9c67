"""Authenticates calls of billing's webhook: the payment provider, by its signature."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends
from starlette.requests import ClientDisconnect, Request

from basewarden.billing.bodies import MAX_BODY_BYTES
from basewarden.billing.errors import BadDelivery
from basewarden.billing.webhooks import Delivery, Headers, read_keys, verify_delivery
from basewarden.core.webhooks import ID, SIGNATURE, TIMESTAMP
from basewarden.errors import NotConfigured, TooLarge
from basewarden.web import CallerKind, SettingsDep, callers


@callers(CallerKind.PROVIDER)
async def require_signed_delivery(request: Request, settings: SettingsDep) -> Delivery:
    """The raw bytes are verified before they are parsed."""
    keys = read_keys(settings.dodo_webhook_secret)
    if not keys:
        raise NotConfigured("This deployment accepts no deliveries: no webhook secret is set.")
    headers = Headers(
        id=request.headers.getlist(ID),
        timestamp=request.headers.getlist(TIMESTAMP),
        signature=request.headers.getlist(SIGNATURE),
    )
    return verify_delivery(headers, await _read_body(request), keys, datetime.now(UTC))


SignedDelivery = Annotated[Delivery, Depends(require_signed_delivery)]


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise TooLarge(hint=f"At most {MAX_BODY_BYTES} bytes.")
    except ClientDisconnect:
        raise BadDelivery from None
    return bytes(body)
