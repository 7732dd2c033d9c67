"""`/api/connections/<id>/alerts`: where messages about events go."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from basewarden.accounts import ClientInfoDep, find_user
from basewarden.alerts import queries
from basewarden.alerts.errors import AlertDisabled, AlertExists, NotSigned, TooManyAlerts
from basewarden.alerts.events import EVENTS, AlertEventName
from basewarden.alerts.models import Alert, AlertChannel, AlertDelivery, DisabledReason
from basewarden.alerts.schemas import (
    AlertCreate,
    AlertCreated,
    AlertDeliveriesOut,
    AlertDeliveryOut,
    AlertOut,
    AlertSecretOut,
    AlertsOut,
)
from basewarden.alerts.service import Alerts
from basewarden.alerts.trying import AlertTrial
from basewarden.connections import Editor
from basewarden.db import ReadSession, WriteSession
from basewarden.errors import NotConfigured, TooMany
from basewarden.web import Reading, Writing, declare, inject

router = APIRouter(prefix="/api/connections/{connection_id}/alerts", tags=["alerts"])

AlertsDep = Annotated[Alerts, Depends(inject(Alerts))]
AlertTrialDep = Annotated[AlertTrial, Depends(inject(AlertTrial))]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("", summary="Lists the alerts of a connection, the newest first.")
async def get_alerts(member: Editor, session: Reading) -> AlertsOut:
    found = await queries.list_alerts(session, member.connection.id)
    return AlertsOut(alerts=[await show_alert(session, alert) for alert in found])


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    responses=declare(TooManyAlerts, AlertExists, NotConfigured),
    summary="Creates an alert, and returns the secret that signs the messages of a webhook.",
)
async def post_alert(
    body: AlertCreate, member: Editor, session: Writing, alerts: AlertsDep, client_info: ClientInfoDep
) -> AlertCreated:
    """The secret is shown this once. Messages begin with events after this call.

    Emails go to your own confirmed address only.
    """
    made = await alerts.create(session, member, body, client_info)
    shown = await show_alert(session, made.alert)
    return AlertCreated(**shown.model_dump(by_alias=False), secret=made.secret.reveal() if made.secret else None)


@router.delete(
    "/{alert_id}", status_code=HTTPStatus.NO_CONTENT, summary="Deletes an alert with the record of its messages."
)
async def delete_alert(
    alert_id: str, member: Editor, session: Writing, alerts: AlertsDep, client_info: ClientInfoDep
) -> None:
    await alerts.delete(session, member, alert_id, client_info)


@router.post("/{alert_id}/test", responses=declare(TooMany), summary="Sends a test message now.")
async def post_test(alert_id: str, member: Editor, trial: AlertTrialDep) -> AlertDeliveryOut:
    """200 also where the target did not accept it: `state` is `failed` then, and `error` says why."""
    return show_delivery(await trial.send_test(member.connection, alert_id))


@router.post("/{alert_id}/enable", summary="Turns an alert on that was turned off because its target failed.")
async def post_enable(alert_id: str, member: Editor, session: Writing, alerts: AlertsDep) -> AlertOut:
    return await show_alert(session, await alerts.enable(session, member.connection.id, alert_id))


@router.post(
    "/{alert_id}/secret",
    responses=declare(NotSigned),
    summary="Replaces the secret that signs the messages of a webhook.",
)
async def post_secret(
    alert_id: str, member: Editor, session: Writing, alerts: AlertsDep, client_info: ClientInfoDep
) -> AlertSecretOut:
    """The new secret is shown this once. Until `oldSecretUntil`, messages have a signature by each of the two."""
    made = await alerts.rotate_secret(session, member, alert_id, client_info)
    assert made.secret is not None
    assert made.alert.old_secret_until is not None
    return AlertSecretOut(secret=made.secret.reveal(), old_secret_until=made.alert.old_secret_until)


@router.get("/{alert_id}/deliveries", summary="Lists the messages of an alert from the last 30 days, the newest first.")
async def get_deliveries(
    alert_id: str,
    member: Editor,
    session: Reading,
    alerts: AlertsDep,
    cursor: UUID | None = None,
    limit: Limit = 50,
) -> AlertDeliveriesOut:
    alert = await alerts.get(session, member.connection.id, alert_id)
    found = await list_messages(session, alert, before=cursor, limit=limit + 1)
    return AlertDeliveriesOut(
        deliveries=[show_delivery(one) for one in found[:limit]],
        next_cursor=found[limit - 1].id if len(found) > limit else None,
    )


@router.post(
    "/{alert_id}/deliveries/{delivery_id}/resend",
    status_code=HTTPStatus.ACCEPTED,
    responses=declare(AlertDisabled, TooMany),
    summary="Sends a message again, with the same id.",
)
async def post_resend(
    alert_id: str, delivery_id: str, member: Editor, session: Writing, trial: AlertTrialDep
) -> AlertDeliveryOut:
    """A message that is still queued is not sent twice."""
    return show_delivery(await trial.send_again(session, member.connection.id, alert_id, delivery_id))


async def list_messages(session: ReadSession, alert: Alert, *, before: UUID | None, limit: int) -> list[AlertDelivery]:
    """Lists the newest first, after the message with the id `before`; an unknown id begins at the first again."""
    last = await queries.find_delivery(session, alert.id, before) if before else None
    return list(await queries.list_deliveries(session, alert.id, before=last, limit=limit))


async def show_alert(session: ReadSession | WriteSession, alert: Alert) -> AlertOut:
    return AlertOut(
        id=alert.id,
        channel=AlertChannel(alert.channel),
        target=await describe_target(session, alert),
        events=[AlertEventName(event) for event in alert.events if event in EVENTS],  # a newer release knows others
        state=alert.state,
        failing_since=alert.failing_since,
        disabled_at=alert.disabled_at,
        disabled_reason=DisabledReason(alert.disabled_reason) if alert.disabled_reason else None,
        delivered_at=alert.delivered_at,
        created_at=alert.created_at,
    )


async def describe_target(session: ReadSession | WriteSession, alert: Alert) -> str:
    """Returns what people see of a target."""
    if alert.user_id is None:
        return alert.target_hint or ""
    person = await find_user(session, alert.user_id)
    return person.email if person is not None else ""


def show_delivery(delivery: AlertDelivery) -> AlertDeliveryOut:
    return AlertDeliveryOut.model_validate(delivery, from_attributes=True)
