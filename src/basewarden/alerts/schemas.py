"""Request and response bodies of alerts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr

from basewarden.alerts.events import AlertEventName, check_event
from basewarden.alerts.models import AlertChannel, AlertState, DeliveryState, DisabledReason
from basewarden.alerts.targets import MAX_URL_LENGTH
from basewarden.web import RequestBody, ResponseBody

_MAX_EVENTS = 20
_MAX_NAME_LENGTH = 60

EventName = Annotated[str, Field(max_length=_MAX_NAME_LENGTH), AfterValidator(check_event)]


def drop_repeated(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


class AlertCreate(RequestBody):
    """`target` is a URL; an email goes to the caller's own confirmed address, which is the default."""

    channel: AlertChannel
    target: Annotated[SecretStr, Field(max_length=MAX_URL_LENGTH)] | None = None
    events: Annotated[list[EventName], Field(min_length=1, max_length=_MAX_EVENTS), AfterValidator(drop_repeated)]


class AlertOut(ResponseBody):
    """`target` is an email address, or the host and the last characters of a URL, which is never shown whole again."""

    id: UUID
    channel: AlertChannel
    target: str
    events: list[AlertEventName]
    state: AlertState
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None
    delivered_at: datetime | None
    created_at: datetime


class AlertsOut(ResponseBody):
    alerts: list[AlertOut]
    next_cursor: None = None


class AlertCreated(AlertOut):
    """The only response with the secret that signs the messages of a webhook; null for other channels."""

    secret: str | None


class AlertSecretOut(ResponseBody):
    secret: str
    old_secret_until: datetime


class AlertDeliveryOut(ResponseBody):
    """`status` and `answer` are of the receiver's last response, `error` says why the last attempt failed."""

    id: UUID
    event: str
    count: int
    state: DeliveryState
    attempts: int
    status: int | None
    answer: str | None
    error: str | None
    created_at: datetime
    attempted_at: datetime | None


class AlertDeliveriesOut(ResponseBody):
    deliveries: list[AlertDeliveryOut]
    next_cursor: UUID | None
