"""Alerts and their messages as pages show them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from basewarden.alerts.events import EVENTS, describe_event_name
from basewarden.alerts.models import AlertChannel, AlertDelivery, AlertState, DeliveryState, DisabledReason
from basewarden.alerts.payloads import decode_payload
from basewarden.alerts.schemas import AlertOut
from basewarden.core.brief import make_brief

MAX_ANSWER_SHOWN = 120
_CHANNEL_WORDS = {
    AlertChannel.WEBHOOK: "Webhook to",
    AlertChannel.SLACK: "Slack at",
    AlertChannel.DISCORD: "Discord at",
    AlertChannel.EMAIL: "Email to",
}
_STATE_WORDS = {AlertState.WORKING: "works", AlertState.FAILING: "failing", AlertState.DISABLED: "off"}
_REASONS = {
    DisabledReason.GONE: "The address answered that it is gone.",
    DisabledReason.FAILING: "It accepted no message for three days.",
    DisabledReason.NO_EDITOR: "This person is no longer an editor of the connection.",
}
_MESSAGE_STATES = {
    DeliveryState.QUEUED: "pending",
    DeliveryState.DELIVERED: "delivered",
    DeliveryState.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class ShownAlert:
    """`is_used`: a message was delivered or has failed. `reason` says why it is off."""

    id: UUID
    title: str
    events: str
    state: str
    is_on: bool
    is_signed: bool
    is_used: bool
    reason: str
    failing_since: datetime | None
    disabled_at: datetime | None
    delivered_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """`result` is what the receiver answered or why it failed, `body` the JSON of the message."""

    id: UUID
    event: str
    title: str
    state: str
    is_delivered: bool
    is_queued: bool
    attempts: int
    status: int | None
    result: str
    answer: str
    created_at: datetime
    attempted_at: datetime | None


def describe_alert(alert: AlertOut, *, is_signed: bool) -> ShownAlert:
    is_used = alert.delivered_at is not None or alert.state is not AlertState.WORKING
    return ShownAlert(
        id=alert.id,
        title=f"{_CHANNEL_WORDS[alert.channel]} {alert.target}",
        events=", ".join(EVENTS[event].title for event in alert.events),
        state=_STATE_WORDS[alert.state] if is_used else "not used",
        is_on=alert.state is not AlertState.DISABLED,
        is_signed=is_signed,
        is_used=is_used,
        reason=_REASONS[alert.disabled_reason] if alert.disabled_reason else "",
        failing_since=alert.failing_since,
        disabled_at=alert.disabled_at,
        delivered_at=alert.delivered_at,
        created_at=alert.created_at,
    )


def show_message(delivery: AlertDelivery) -> ShownMessage:
    state = DeliveryState(delivery.state)
    return ShownMessage(
        id=delivery.id,
        event=describe_event_name(delivery.event),
        title=decode_payload(delivery.payload).data.title,
        state=_MESSAGE_STATES[state],
        is_delivered=state is DeliveryState.DELIVERED,
        is_queued=state is DeliveryState.QUEUED,
        attempts=delivery.attempts,
        status=delivery.status,
        result=_describe_result(delivery),
        answer=make_brief(delivery.answer or "", MAX_ANSWER_SHOWN),
        created_at=delivery.created_at,
        attempted_at=delivery.attempted_at,
    )


def _describe_result(delivery: AlertDelivery) -> str:
    if delivery.error:
        return delivery.error
    if delivery.status is not None:
        return f"It answered {delivery.status}."
    if delivery.state == DeliveryState.DELIVERED:
        return "The email was queued."
    return "It has not been sent yet."
