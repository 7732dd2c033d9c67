"""`/c/<id>/alerts`: the list, the form of a new alert, and a page for each with its messages."""

from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from basewarden.accounts import ClientInfoDep
from basewarden.alerts import queries
from basewarden.alerts.digest import MAX_MESSAGES_AN_HOUR, PAUSE
from basewarden.alerts.events import EVENTS
from basewarden.alerts.forms import CHANNELS, LABELS, LIST_FIELDS, SECRET_FIELDS, AlertForm
from basewarden.alerts.models import Alert, AlertChannel
from basewarden.alerts.routes import AlertsDep, AlertTrialDep, list_messages, show_alert
from basewarden.alerts.service import Alerts, NewAlert
from basewarden.alerts.view import ShownAlert, describe_alert, show_message
from basewarden.connections import Editor, KeptSecretsDep, Membership, parse_keeping_form
from basewarden.db import ReadSession
from basewarden.errors import AppError
from basewarden.web import Pages, PagesDep, Reading, Writing, redirect, show_again

router = APIRouter(prefix="/c/{connection_id}/alerts", include_in_schema=False)

_PAGE_ROWS = 30
_DONE = {
    "deleted": "Alert deleted. No more messages are sent there.",
    "created": "Alert created. Send a test to see that it arrives.",
    "on": "Alert turned on. It gets the events from now on.",
    "again": "The message is being sent again.",
}


@router.get("")
async def get_alerts(request: Request, member: Editor, session: Reading, pages: PagesDep) -> Response:
    found = await queries.list_alerts(session, member.connection.id)
    return pages.render(
        request,
        "alerts/alerts.html",
        here=_path(member),
        alerts=[await _show(session, alert) for alert in found],
        done=_DONE.get(request.query_params.get("done", "")),
        choices=[(words.title, words.note) for words in EVENTS.values()],
    )


@router.get("/new")
async def get_new_alert(
    request: Request,
    member: Editor,
    pages: PagesDep,
    alerts: AlertsDep,
    channel: Annotated[str, Query(max_length=20)] = AlertChannel.WEBHOOK,
) -> Response:
    typed = {"channel": channel, "events": "\n".join(EVENTS)}
    return pages.render(request, "alerts/alert_new.html", typed=typed, errors={}, **_describe_form(member, alerts))


@router.post("")
async def post_alert(
    *,
    request: Request,
    member: Editor,
    session: Writing,
    pages: PagesDep,
    alerts: AlertsDep,
    client_info: ClientInfoDep,
    kept_secrets: KeptSecretsDep,
) -> Response:
    """Creates an alert. That of a webhook is not redirected to, because only this response contains the secret."""
    person_id = member.person.id
    form, kept = await parse_keeping_form(
        request, AlertForm, kept_secrets, person_id, fields=SECRET_FIELDS, lists=LIST_FIELDS
    )
    error: AppError | None = None
    if form.data is not None:
        try:
            made = await alerts.create(session, member, form.data.as_alert(), client_info)
        except AppError as refused:
            error = refused
        else:
            if made.secret is None:
                return redirect(f"{_path(member)}/{made.alert.id}?done=created")
            return _show_secret(request, pages, member, made, is_new=True)
    context = _describe_form(member, alerts) | {"kept": kept.get("target")}
    return show_again(request, pages, "alerts/alert_new.html", form, error, never_shown=("target",), **context)


@router.get("/{alert_id}")
async def get_alert(
    *,
    request: Request,
    alert_id: str,
    member: Editor,
    session: Reading,
    pages: PagesDep,
    alerts: AlertsDep,
    cursor: UUID | None = None,
    tested: UUID | None = None,
) -> Response:
    """`tested` is the id of a test message, whose result is shown above the others."""
    alert = await alerts.get(session, member.connection.id, alert_id)
    found = await list_messages(session, alert, before=cursor, limit=_PAGE_ROWS + 1)
    messages = found[:_PAGE_ROWS]
    trial = await queries.find_delivery(session, alert.id, tested) if tested else None
    here = f"{_path(member)}/{alert.id}"
    return pages.render(
        request,
        "alerts/alert.html",
        here=here,
        list_href=_path(member),
        alert=await _show(session, alert),
        messages=[show_message(one) for one in messages],
        trial=show_message(trial) if trial else None,
        is_first=cursor is None,
        next_href=f"{here}?cursor={messages[-1].id}" if len(found) > _PAGE_ROWS else None,
        done=_DONE.get(request.query_params.get("done", "")),
    )


@router.get("/{alert_id}/delete")
async def get_delete_alert(
    request: Request, alert_id: str, member: Editor, session: Reading, pages: PagesDep, alerts: AlertsDep
) -> Response:
    alert = await alerts.get(session, member.connection.id, alert_id)
    return pages.render(request, "alerts/alert_delete.html", alert=await _show(session, alert), list_href=_path(member))


@router.post("/{alert_id}/delete")
async def post_delete_alert(
    alert_id: str, member: Editor, session: Writing, alerts: AlertsDep, client_info: ClientInfoDep
) -> Response:
    await alerts.delete(session, member, alert_id, client_info)
    return redirect(f"{_path(member)}?done=deleted")


@router.post("/{alert_id}/test")
async def post_test_alert(alert_id: str, member: Editor, trial: AlertTrialDep) -> Response:
    delivery = await trial.send_test(member.connection, alert_id)
    return redirect(f"{_path(member)}/{delivery.alert_id}?tested={delivery.id}")


@router.post("/{alert_id}/enable")
async def post_enable_alert(alert_id: str, member: Editor, session: Writing, alerts: AlertsDep) -> Response:
    alert = await alerts.enable(session, member.connection.id, alert_id)
    return redirect(f"{_path(member)}/{alert.id}?done=on")


@router.post("/{alert_id}/secret")
async def post_alert_secret(
    *,
    request: Request,
    alert_id: str,
    member: Editor,
    session: Writing,
    pages: PagesDep,
    alerts: AlertsDep,
    client_info: ClientInfoDep,
) -> Response:
    made = await alerts.rotate_secret(session, member, alert_id, client_info)
    return _show_secret(request, pages, member, made, is_new=False)


@router.post("/{alert_id}/deliveries/{delivery_id}/resend")
async def post_resend_message(
    alert_id: str, delivery_id: str, member: Editor, session: Writing, trial: AlertTrialDep
) -> Response:
    delivery = await trial.send_again(session, member.connection.id, alert_id, delivery_id)
    return redirect(f"{_path(member)}/{delivery.alert_id}?done=again")


def _show_secret(request: Request, pages: Pages, member: Membership, made: NewAlert, *, is_new: bool) -> Response:
    assert made.secret is not None
    return pages.render(
        request,
        "alerts/alert_secret.html",
        status=HTTPStatus.CREATED if is_new else HTTPStatus.OK,
        here=f"{_path(member)}/{made.alert.id}",
        list_href=_path(member),
        target=made.alert.target_hint,
        secret=made.secret.reveal(),
        is_new=is_new,
    )


def _describe_form(member: Membership, alerts: Alerts) -> dict[str, Any]:
    channels = [one for one in CHANNELS if one[0] != AlertChannel.EMAIL or alerts.can_email]
    return {
        "list_href": _path(member),
        "channels": channels,
        "choices": [(str(name), words.title, words.note) for name, words in EVENTS.items()],
        "labels": LABELS,
        "kept": None,
        "pause_minutes": int(PAUSE.total_seconds() // 60),
        "most_an_hour": MAX_MESSAGES_AN_HOUR,
    }


async def _show(session: ReadSession, alert: Alert) -> ShownAlert:
    return describe_alert(await show_alert(session, alert), is_signed=alert.sealed_secret is not None)


def _path(member: Membership) -> str:
    return f"/c/{member.connection.id}/alerts"
