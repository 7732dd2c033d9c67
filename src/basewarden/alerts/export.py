"""The part of alerts in a person's data export: those of connections that they own, and those that they created or get.

Alerts of connections that they have left are not exported.
"""

from contextlib import aclosing

from basewarden.accounts import ExportPart, ExportRows, Person
from basewarden.alerts import queries
from basewarden.alerts.queries import PersonConnections
from basewarden.connections import Role, list_person_roles
from basewarden.db import ReadSession

_SEALED_URL = "the URL that messages go to, encrypted"
_SEALED_SECRET = "the secret that signs messages, encrypted"  # noqa: S105 - a reason, not a secret
_OTHER = "may be another person"

_ALERT = (
    "id",
    "connection_id",
    "channel",
    "target_hint",
    "events",
    "failing_since",
    "delivered_at",
    "disabled_at",
    "disabled_reason",
    "created_at",
)
_DELIVERY = (
    "id",
    "alert_id",
    "event",
    "count",
    "state",
    "attempts",
    "status",
    "answer",
    "error",
    "created_at",
    "attempted_at",
)


async def _list_alerts(session: ReadSession, person: Person) -> ExportRows:
    whose = await _find_connections(session, person)
    async with aclosing(queries.stream_alerts(session, _ALERT, whose)) as rows:
        async for row in rows:
            yield row


async def _list_deliveries(session: ReadSession, person: Person) -> ExportRows:
    whose = await _find_connections(session, person)
    async with aclosing(queries.stream_deliveries(session, _DELIVERY, whose)) as rows:
        async for row in rows:
            yield row


async def _find_connections(session: ReadSession, person: Person) -> PersonConnections:
    roles = await list_person_roles(session, person.id)
    owned = [connection_id for connection_id, role in roles.items() if role is Role.OWNER]
    return PersonConnections(person.id, owned, list(roles))


ALERT_PARTS = (
    ExportPart(
        "alerts",
        "alerts",
        _list_alerts,
        _ALERT,
        {
            "user_id": _OTHER,
            "created_by": _OTHER,
            "sealed_target": _SEALED_URL,
            "sealed_secret": _SEALED_SECRET,
            "sealed_old_secret": _SEALED_SECRET,
            "old_secret_until": "until when the secret before the last one signs too",
        },
    ),
    ExportPart(
        "alertDeliveries",
        "alert_deliveries",
        _list_deliveries,
        _DELIVERY,
        {
            "payload": "names other people; the journal's parts have what is yours",
            "claimed_until": "for seconds, while a process sends it",
        },
    ),
)
