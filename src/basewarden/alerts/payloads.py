"""The JSON of a message: a webhook gets it as it is, and the other channels are made of it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from basewarden.alerts.events import EVENTS, TEST, AlertEventName, describe_events
from basewarden.alerts.models import WaitingEvent
from basewarden.alerts.subjects import Subject
from basewarden.connections import Connection
from basewarden.core.brief import make_brief

MAX_ITEMS = 10
"""A message names this many things and counts the others."""


class MessageItem(msgspec.Struct, frozen=True):
    text: str
    url: str
    facts: dict[str, Any]


class MessageConnection(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    environment: str


class MessageData(msgspec.Struct, frozen=True, rename="camel"):
    """`count` events happened between `first_at` and `last_at`; `items` names the first of them."""

    title: str
    url: str
    connection: MessageConnection
    count: int
    first_at: datetime
    last_at: datetime
    items: tuple[MessageItem, ...] = ()
    more_items: int = 0


class MessagePayload(msgspec.Struct, frozen=True):
    type: str
    timestamp: datetime
    data: MessageData

    def encode(self) -> str:
        return msgspec.json.encode(self).decode()


def decode_payload(text: str) -> MessagePayload:
    return msgspec.json.decode(text, type=MessagePayload)


def make_payload(
    event: AlertEventName,
    connection: Connection,
    waiting: Sequence[WaitingEvent],
    subjects: Sequence[Subject],
    origin: str,
) -> MessagePayload:
    """`waiting` are all events of the message, `subjects` the things that it names."""
    home = f"{origin}/c/{connection.id}"
    count = sum(one.count for one in waiting)
    times = sorted(one.at for one in waiting)
    items = tuple(MessageItem(one.text, f"{home}{one.path}", dict(one.facts)) for one in subjects)
    data = MessageData(
        title=describe_events(event, count, connection.name),
        url=items[0].url if len(waiting) == 1 and items else f"{home}{EVENTS[event].path}",
        connection=_describe_connection(connection),
        count=count,
        first_at=times[0],
        last_at=times[-1],
        items=items,
        more_items=len(waiting) - len(items),
    )
    return MessagePayload(event, datetime.now(UTC), data)


def make_test_payload(connection: Connection, origin: str) -> MessagePayload:
    now = datetime.now(UTC)
    title = f"Test message about {make_brief(connection.name)}"
    url = f"{origin}/c/{connection.id}/alerts"
    return MessagePayload(TEST, now, MessageData(title, url, _describe_connection(connection), 1, now, now))


def _describe_connection(connection: Connection) -> MessageConnection:
    return MessageConnection(connection.id, make_brief(connection.name), connection.environment)
