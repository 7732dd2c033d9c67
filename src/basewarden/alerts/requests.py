"""Sends one message to a URL and reads the beginning of the answer. Redirects are never followed."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from basewarden import __version__
from basewarden.alerts.models import AlertChannel
from basewarden.alerts.targets import TargetURL
from basewarden.connections import ConnectionFailed
from basewarden.connections.rest import (
    HTTPConnection,
    HTTPFailure,
    NoResponse,
    ProtocolError,
    ReadTimeout,
    connect_http,
    make_tls_context,
)
from basewarden.core.brief import make_brief
from basewarden.core.webhooks import ID, SIGNATURE, TIMESTAMP, read_key, sign
from basewarden.db import note_waiting

SEND_SECONDS = 10.0
"""For everything from the lookup of the host to the answer."""
_CONNECT_SECONDS = 5.0
_HEAD_SECONDS = 8.0
_IDLE_SECONDS = 2.0
_MAX_ANSWER_BYTES = 2048
_MAX_ANSWER_LENGTH = 300
_GONE = 410
_NOT_FOUND = 404
_TOO_SLOW = f"It did not answer within {SEND_SECONDS:.0f} seconds."


@dataclass(frozen=True, slots=True)
class SendResult:
    """`status` and `answer` are of the receiver's response, `error` says in a sentence why the message failed.

    `is_gone`: the target says that it will never accept a message again.
    """

    status: int | None = None
    answer: str | None = None
    error: str | None = None
    is_gone: bool = False
    milliseconds: int = 0

    @property
    def is_delivered(self) -> bool:
        return self.error is None


def make_headers(message_id: UUID, body: bytes, secrets: tuple[str, ...]) -> dict[str, str]:
    """Returns the headers of Standard Webhooks, with a signature by each of the secrets."""
    seconds = str(int(datetime.now(UTC).timestamp()))
    signed = b".".join((str(message_id).encode(), seconds.encode(), body))
    signatures = " ".join(sign(read_key(secret), signed).decode() for secret in secrets)
    return {ID: str(message_id), TIMESTAMP: seconds, **({SIGNATURE: signatures} if secrets else {})}


async def send_request(
    target: TargetURL, channel: str, body: bytes, headers: Mapping[str, str], *, allow_private: bool
) -> SendResult:
    """Never raises for what the receiver does."""
    note_waiting("an alert's target")
    started = time.perf_counter()
    try:
        async with asyncio.timeout(SEND_SECONDS):
            status, answer = await _exchange(target, body, headers, allow_private=allow_private)
    except (ConnectionFailed, HTTPFailure, TimeoutError) as error:
        return SendResult(error=_explain(error), milliseconds=_count_milliseconds(started))
    return SendResult(status, answer, _explain_status(status), _is_gone(channel, status), _count_milliseconds(started))


async def _exchange(
    target: TargetURL, body: bytes, headers: Mapping[str, str], *, allow_private: bool
) -> tuple[int, str]:
    address = target.address
    connection = await connect_http(
        address,
        allow_private=allow_private,
        tls=make_tls_context() if address.is_encrypted else None,
        seconds=_CONNECT_SECONDS,
        on_lost=lambda _: None,
    )
    try:
        head = _make_head(target, len(body), headers)
        connection.start(head + body, is_head=False, head_seconds=_HEAD_SECONDS, idle_seconds=_IDLE_SECONDS)
        return await _read_answer(connection)
    finally:
        connection.abort()


async def _read_answer(connection: HTTPConnection) -> tuple[int, str]:
    """The status decides; a body that is cut off, endless or without a length changes nothing about it."""
    try:
        await connection.read_head()
        start = await connection.read_start(_MAX_ANSWER_BYTES)
    except HTTPFailure:
        if not connection.status:
            raise
        start = b""
    return connection.status, make_brief(start.decode(errors="replace"), _MAX_ANSWER_LENGTH)


def _make_head(target: TargetURL, length: int, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"host: {target.address.authority}",
        f"user-agent: basewarden/{__version__}",
        "content-type: application/json",
        f"content-length: {length}",
        "connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _explain(error: ConnectionFailed | HTTPFailure | TimeoutError) -> str:
    if isinstance(error, ConnectionFailed):
        return error.text
    if isinstance(error, NoResponse):
        return "It closed the connection without an answer."
    if isinstance(error, ProtocolError):
        return "Its answer is not valid HTTP."
    return _TOO_SLOW if isinstance(error, ReadTimeout | TimeoutError) else "It closed the connection within its answer."


def _explain_status(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"It answered {status}, a redirect. Redirects are not followed: use the address that it leads to."
    return f"It answered {status}."


def _is_gone(channel: str, status: int) -> bool:
    """Slack and Discord answer 404 for a webhook that was deleted."""
    return status == _GONE or (status == _NOT_FOUND and channel in (AlertChannel.SLACK, AlertChannel.DISCORD))


def _count_milliseconds(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
